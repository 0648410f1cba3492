// Appends, reads, deletion and metadata.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, describe, test } from "node:test";
import { all, binaryEvent, db, events, insecureClient, insecureNode, jsonEvent, named, numbers, refused } from "./tools.mjs";

const { ANY, BACKWARDS, END, FORWARDS, NO_STREAM, START, STREAM_EXISTS } = db;
const client = insecureClient();
after(() => client.dispose());

describe("append", () => {
  test("one event, and where it went", async () => {
    const stream = named("append");
    const result = await client.appendToStream(stream, jsonEvent({ type: "Opened", data: { a: 1 }, metadata: { by: "me" } }));
    assert.equal(result.success, true);
    assert.equal(result.nextExpectedRevision, 0n);
    assert.ok(result.position.commit >= result.position.prepare);
    const [{ event }] = await all(client.readStream(stream));
    assert.deepEqual([event.type, event.data, event.metadata, event.revision, event.streamId], ["Opened", { a: 1 }, { by: "me" }, 0n, stream]);
    assert.equal(event.isJson, true);
    assert.ok(Math.abs(event.created.getTime() - Date.now()) < 3_600_000);
  });

  test("binary data and ids come back as they were", async () => {
    const stream = named("binary");
    const id = randomUUID();
    const data = Uint8Array.from([0, 255, 10, 13, 128]);
    await client.appendToStream(stream, binaryEvent({ id, type: "Raw", data, metadata: Uint8Array.from([1, 0, 254]) }));
    const [{ event }] = await all(client.readStream(stream));
    assert.deepEqual([event.id, event.isJson, [...event.data], [...event.metadata]], [id, false, [...data], [1, 0, 254]]);
  });

  test("names and text of every script", async () => {
    const stream = `größe ${named("茶")} %/?#`;
    await client.appendToStream(stream, jsonEvent({ type: "été", data: { text: "🫖" } }));
    const [{ event }] = await all(client.readStream(stream));
    assert.deepEqual([event.streamId, event.type, event.data], [stream, "été", { text: "🫖" }]);
  });

  for (const [state, expected, fine] of [
    ["nothing", ANY, true], ["nothing", NO_STREAM, true], ["nothing", STREAM_EXISTS, false], ["nothing", 0n, false],
    ["two events", ANY, true], ["two events", NO_STREAM, false], ["two events", STREAM_EXISTS, true], ["two events", 1n, true],
    ["two events", 0n, false], ["two events", 7n, false],
  ]) {
    for (const [way, options] of [["batch", {}], ["plain", { credentials: { username: "nobody", password: "asks" } }]]) {
      test(`on ${state} expecting ${expected}, ${way}`, async () => {
        const stream = named("expected");
        if (state !== "nothing") await client.appendToStream(stream, events(2));
        const append = client.appendToStream(stream, events(1), { expectedRevision: expected, ...options });
        if (fine) {
          assert.equal((await append).nextExpectedRevision, state === "nothing" ? 0n : 2n);
          return;
        }
        const error = await refused(append, db.WrongExpectedVersionError);
        assert.equal(error.streamName, stream);
        assert.equal(error.expectedVersion, expected);
        assert.equal(error.actualVersion, state === "nothing" ? "no_stream" : 1n);
      });
    }
  }

  test("a conflict as an answer, for who asks for that", async () => {
    const quiet = insecureClient("&throwOnAppendFailure=false");
    const result = await quiet.appendToStream(named("quiet"), events(1), { expectedRevision: 7n });
    assert.equal(result.success, false);
    await quiet.dispose();
  });

  test("a repetition is the first append again", async () => {
    const stream = named("again");
    const batch = events(3);
    const first = await client.appendToStream(stream, batch, { expectedRevision: NO_STREAM });
    for (const expectedRevision of [NO_STREAM, ANY]) {
      const second = await client.appendToStream(stream, batch, { expectedRevision });
      assert.deepEqual([second.nextExpectedRevision, second.position], [first.nextExpectedRevision, first.position]);
    }
    assert.equal((await all(client.readStream(stream))).length, 3);
  });

  test("too much data", async () => {
    const big = jsonEvent({ type: "Big", data: { text: "x".repeat(1024 * 1024 + 1) } });
    for (const options of [{}, { credentials: { username: "nobody", password: "asks" } }]) {
      const error = await refused(client.appendToStream(named("big"), big, options), db.MaxAppendSizeExceededError);
      assert.equal(error.maxAppendSize, 1024 * 1024);
    }
  });

  test("a thousand at once, each answered once", async () => {
    const stream = named("flood");
    const results = await Promise.all(Array.from({ length: 1000 }, (_, i) => client.appendToStream(`${stream}-${i % 7}`, events(2, "Flood", i))));
    assert.equal(results.filter(({ success }) => success).length, 1000);
    assert.equal(new Set(results.map(({ position }) => position.commit)).size, 1000);
  });

  test("an append in many parts", async () => {
    const stream = named("parts");
    await client.appendToStream(stream, events(500), { batchAppendSize: 1024 });
    assert.deepEqual(numbers(await all(client.readStream(stream))), Array.from({ length: 500 }, (_, i) => i));
  });
});

describe("read", () => {
  const stream = named("read");
  const ready = client.appendToStream(stream, events(10));
  for (const [what, options, want] of [
    ["everything", {}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    ["a part", { fromRevision: 3n, maxCount: 2 }, [3, 4]],
    ["back", { direction: BACKWARDS, fromRevision: END, maxCount: 3 }, [9, 8, 7]],
    ["back from the middle", { direction: BACKWARDS, fromRevision: 2n }, [2, 1, 0]],
    ["back from the start", { direction: BACKWARDS, fromRevision: START }, [0]],
    ["from beyond the end", { direction: FORWARDS, fromRevision: 99n }, []],
  ]) {
    test(what, async () => {
      await ready;
      assert.deepEqual(numbers(await all(client.readStream(stream, options))), want);
    });
  }

  test("a stream that is not there", async () => {
    const error = await refused(all(client.readStream(named("absent"))), db.StreamNotFoundError);
    assert.match(error.streamName, /^absent-/);
  });

  test("$all, both ways, with the system's own events", async () => {
    await ready;
    const forwards = await all(client.readAll({ maxCount: 20 }));
    assert.ok(forwards.some(({ event }) => event.streamId.startsWith("$")), "want system events");
    const last = (await client.appendToStream(named("last"), events(1))).position;
    const [{ event }] = await all(client.readAll({ direction: BACKWARDS, fromPosition: END, maxCount: 1 }));
    assert.ok(event.position.commit >= last.commit);
    const from = await all(client.readAll({ fromPosition: last, maxCount: 1 }));
    assert.equal(from[0].event.position.commit, last.commit);
    const before = await all(client.readAll({ direction: BACKWARDS, fromPosition: last, maxCount: 1 }));
    assert.ok(before[0].event.position.commit < last.commit);
  });

  test("links, resolved and not", async () => {
    const target = named("target");
    const list = named("links");
    await client.appendToStream(target, events(3));
    await client.appendToStream(list, [1, 99].map((revision) => binaryEvent({ type: "$>", data: Buffer.from(`${revision}@${target}`) })));
    const [found, lost] = await all(client.readStream(list, { resolveLinkTos: true }));
    assert.deepEqual([found.event.data.n, found.link.streamId, found.link.revision], [1, list, 0n]);
    assert.equal(lost.event, undefined);
    assert.equal(lost.link.revision, 1n);
    const [plain] = await all(client.readStream(list));
    assert.equal(plain.event.type, "$>");
  });

  test("categories and types as streams of links", async () => {
    const tag = randomUUID().replaceAll("-", "");
    await client.appendToStream(`${tag}-1`, events(2, `T${tag}`));
    await client.appendToStream(`${tag}-2`, events(1, `T${tag}`, 2));
    for (const index of [`$ce-${tag}`, `$et-T${tag}`]) {
      assert.deepEqual(numbers(await all(client.readStream(index, { resolveLinkTos: true }))), [0, 1, 2]);
    }
  });
});

describe("delete and tombstone", () => {
  test("a deleted stream is gone, and comes back behind its end", async () => {
    const stream = named("deleted");
    await client.appendToStream(stream, events(3));
    const { position } = await client.deleteStream(stream, { expectedRevision: 2n });
    assert.ok(position.commit > 0n);
    await refused(all(client.readStream(stream)), db.StreamNotFoundError);
    const result = await client.appendToStream(stream, events(1, "Back", 3), { expectedRevision: NO_STREAM });
    assert.equal(result.nextExpectedRevision, 3n);
    assert.deepEqual(numbers(await all(client.readStream(stream))), [3]);
  });

  test("a tombstone is for ever", async () => {
    const stream = named("tombstone");
    await client.appendToStream(stream, events(1));
    await client.tombstoneStream(stream);
    assert.equal((await refused(all(client.readStream(stream)), db.StreamDeletedError)).streamName, stream);
    await refused(client.appendToStream(stream, events(1)), db.StreamDeletedError);
    await refused(client.deleteStream(stream), db.StreamDeletedError);
    await refused(client.tombstoneStream(stream), db.StreamDeletedError);
  });

  for (const way of ["deleteStream", "tombstoneStream"]) {
    test(`${way} of another revision`, async () => {
      const stream = named("revision");
      await client.appendToStream(stream, events(2));
      const error = await refused(client[way](stream, { expectedRevision: 5n }), db.WrongExpectedVersionError);
      assert.deepEqual([error.streamName, error.expectedVersion, error.actualVersion], [stream, 5n, 1n]);
    });
  }
});

describe("metadata", () => {
  test("what was set, and its limits", async () => {
    const stream = named("meta");
    await client.appendToStream(stream, events(5));
    assert.equal((await client.getStreamMetadata(stream)).metadata, undefined);
    await client.setStreamMetadata(stream, { maxCount: 2, cacheControl: 7, mine: { deep: [1] } });
    const { metadata } = await client.getStreamMetadata(stream);
    assert.deepEqual([metadata.maxCount, metadata.cacheControl, metadata.mine], [2, 7, { deep: [1] }]);
    assert.deepEqual(numbers(await all(client.readStream(stream))), [3, 4]);
    await client.setStreamMetadata(stream, { truncateBefore: 4 }, { expectedRevision: 0n });
    assert.deepEqual(numbers(await all(client.readStream(stream))), [4]);
    await refused(client.setStreamMetadata(stream, {}, { expectedRevision: 0n }), db.WrongExpectedVersionError);
  });

  test("access lists are kept as they were written", async () => {
    const stream = named("acl");
    const acl = { readRoles: ["$all"], writeRoles: ["a", "b"], metaReadRoles: "c" };
    await client.setStreamMetadata(stream, { acl });
    const { metadata } = await client.getStreamMetadata(stream);
    assert.deepEqual([metadata.acl.writeRoles, metadata.acl.readRoles], [["a", "b"], ["$all"]]);
  });
});

describe("over HTTP", () => {
  test("ping and what is not there", async () => {
    const pong = await client.HTTPRequest("GET", "/ping", {});
    assert.equal(pong.text, "Ping request successfully handled");
    const error = await client.HTTPRequest("POST", "/nowhere", { transformError: (code, text) => Object.assign(new Error(text), { code }) }).catch((e) => e);
    assert.deepEqual([error.code, error.message], [404, "Not Found"]);
    assert.equal((await fetch(`http://${insecureNode}/health/live`)).status, 204);
  });

  test("an event that says it is JSON and is not", async () => {
    const stream = named("malformed");
    const answer = await fetch(`http://${insecureNode}/streams/${stream}`, {
      method: "POST", body: "{ not json", headers: { "Content-Type": "application/json", "ES-EventType": "Malformed", "ES-EventId": randomUUID() },
    });
    assert.equal(answer.status, 201);
    const [{ event }] = await all(client.readStream(stream));
    assert.equal(event.type, "Malformed");
  });
});
