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
	// An error of the output of help cannot be reported anywhere.
	_, _ = io.WriteString(a.stdout, helpOf(c, width))
}

// helpOf returns the help of a command: cobra's help, in lines of at most width
// characters.
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

// refill breaks paragraphs with lines longer than width into new lines, and leaves other
// paragraphs unchanged. An indented line of the form "  name  text", with the lines below
// that continue its text, is a paragraph.
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

// textColumn returns the column at which the text of a paragraph begins: after the name in
// "  name  text", otherwise at the first word.
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

// breakCommand breaks a command line between words, so that a shell still reads it as one
// command.
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

// quotedWords splits a command line at the spaces outside of quotes. The quotes are kept.
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
