package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
)

// help prints the help of a command at the width of the terminal.
func (a *app) help(c *cobra.Command, _ []string) {
	width := 80
	if p, err := output.New(a.stdout.Writer, string(output.Table), a.getenv); err == nil {
		width = pageWidth(p)
	}
	// Help that cannot be written has nobody who reads that.
	_, _ = io.WriteString(a.stdout, helpOf(c, width))
}

// helpOf is the help of a command: what cobra's own says, but no wider than width.
func helpOf(c *cobra.Command, width int) string {
	var b strings.Builder
	b.WriteString(refill(cmp.Or(c.Long, c.Short), width) + "\n\nUsage:\n")
	if c.Runnable() {
		b.WriteString("  " + c.UseLine() + "\n")
	}
	if c.HasAvailableSubCommands() {
		b.WriteString("  " + c.CommandPath() + " [command]\n")
	}
	if c.HasExample() {
		b.WriteString("\nExamples:\n")
		for line := range strings.SplitSeq(c.Example, "\n") {
			b.WriteString(breakCommand(line, width) + "\n")
		}
	}
	list := func(title, group string) {
		for _, child := range c.Commands() {
			if child.GroupID != group || !child.IsAvailableCommand() {
				continue
			}
			if title != "" {
				b.WriteString("\n" + title + "\n")
				title = ""
			}
			b.WriteString(refill(fmt.Sprintf("  %-*s %s", child.NamePadding()+1, child.Name(), child.Short), width) + "\n")
		}
	}
	for _, group := range c.Groups() {
		list(group.Title, group.ID)
	}
	if len(c.Groups()) > 0 {
		list("Additional Commands:", "")
	} else {
		list("Available Commands:", "")
	}
	if c.HasAvailableLocalFlags() {
		b.WriteString("\nFlags:\n" + c.LocalFlags().FlagUsagesWrapped(width))
	}
	if c.HasAvailableInheritedFlags() {
		b.WriteString("\nGlobal Flags:\n" + c.InheritedFlags().FlagUsagesWrapped(width))
	}
	if c.HasAvailableSubCommands() {
		b.WriteString("\n" + refill(fmt.Sprintf("Use \"%s [command] --help\" for more information about a command.", c.CommandPath()), width) + "\n")
	}
	return b.String()
}

// refill breaks the paragraphs that are wider than width anew, and leaves those that fit
// as they are. An indented line, with the lines that go on under its text, is a
// paragraph: "  name  text".
func refill(said string, width int) string {
	var out, paragraph []string
	column := 0
	end := func() {
		out = append(out, refilled(paragraph, column, width)...)
		paragraph = nil
	}
	for line := range strings.SplitSeq(said, "\n") {
		if len(paragraph) > 0 && (line == "" || indentOf(line) != column || column > 0 && column == indentOf(paragraph[0])) {
			end()
		}
		if line == "" {
			out = append(out, "")
			continue
		}
		if len(paragraph) == 0 {
			column = textColumn(line)
		}
		paragraph = append(paragraph, line)
	}
	end()
	return strings.Join(out, "\n")
}

// refilled returns the lines of one paragraph whose text stands at a column.
func refilled(lines []string, column, width int) []string {
	fits := true
	for _, line := range lines {
		fits = fits && text.StringWidth(line) <= width
	}
	if fits || width-column < 20 {
		return lines
	}
	words := lines[0][column:]
	for _, line := range lines[1:] {
		words += " " + strings.TrimSpace(line)
	}
	filled := strings.Split(wrapLines(words, width-column), "\n")
	for i := range filled {
		before := strings.Repeat(" ", column)
		if i == 0 {
			before = lines[0][:column]
		}
		filled[i] = before + strings.TrimRight(filled[i], " ")
	}
	return filled
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// textColumn is where the text of a paragraph stands: behind the name in "  name  text",
// else where its first line begins.
func textColumn(line string) int {
	begin := indentOf(line)
	if begin == 0 {
		return 0
	}
	if name := strings.Index(line[begin:], "  "); name >= 0 {
		return begin + name + indentOf(line[begin+name:])
	}
	return begin
}

// breakCommand breaks a command line between its words, so that a shell still takes it
// for one.
func breakCommand(line string, width int) string {
	if text.StringWidth(line) <= width {
		return line
	}
	indent := line[:indentOf(line)]
	var b strings.Builder
	row := indent
	for i, word := range quotedWords(line) {
		if i > 0 && text.StringWidth(row)+1+text.StringWidth(word)+len(" \\") > width {
			b.WriteString(row + " \\\n")
			row = indent + "    " + word
			continue
		}
		if i > 0 {
			row += " "
		}
		row += word
	}
	return b.String() + row
}

// quotedWords splits a command line at the spaces outside of quotes, which stay.
func quotedWords(line string) (words []string) {
	quote, word := rune(0), ""
	for _, r := range line + " " {
		switch {
		case r == ' ' && quote == 0:
			if word != "" {
				words = append(words, word)
			}
			word = ""
			continue
		case r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		}
		word += string(r)
	}
	return words
}
