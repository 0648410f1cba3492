// Catch-up subscriptions to streams and to $all.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, describe, test } from "node:test";
import { db, events, insecureClient, named, numbers, once, takes, within } from "./tools.mjs";

const { END, START } = db;
const client = insecureClient();
after(() => client.dispose());

describe("to a stream", () => {
  test("history, caught up once, then live", async () => {
    const stream = named("follow");
    await client.appendToStream(stream, events(5));
    const subscription = client.subscribeToStream(stream, { fromRevision: START });
    let caughtUp = 0;
    subscription.on("caughtUp", () => caughtUp++);
    const taken = takes(subscription, 8);
    await once(subscription, "caughtUp");
    await client.appendToStream(stream, events(3, "Live", 5));
    assert.deepEqual(numbers(await taken), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert.equal(caughtUp, 1);
  });

  test("behind a revision", async () => {
    const stream = named("behind");
    await client.appendToStream(stream, events(5));
    assert.deepEqual(numbers(await takes(client.subscribeToStream(stream, { fromRevision: 2n }), 2)), [3, 4]);
  });

  test("from the end, of a stream that is not there yet", async () => {
    const stream = named("later");
    const subscription = client.subscribeToStream(stream, { fromRevision: END });
    const taken = takes(subscription, 2);
    await once(subscription, "confirmation");
    await client.appendToStream(stream, events(2));
    assert.deepEqual(numbers(await taken), [0, 1]);
  });

  test("links resolved", async () => {
    const tag = randomUUID().replaceAll("-", "");
    const taken = takes(client.subscribeToStream(`$ce-${tag}`, { fromRevision: START, resolveLinkTos: true }), 3);
    await client.appendToStream(`${tag}-1`, events(2));
    await client.appendToStream(`${tag}-2`, events(1, "Counted", 2));
    assert.deepEqual(numbers(await taken), [0, 1, 2]);
  });

  test("a tombstone ends it", async () => {
    const stream = named("ends");
    await client.appendToStream(stream, events(1));
    const subscription = client.subscribeToStream(stream, { fromRevision: START });
    const ended = within(new Promise((resolve) => subscription.on("error", resolve)), "the end");
    subscription.once("data", () => client.tombstoneStream(stream));
    const error = await ended;
    assert.ok(error instanceof db.StreamDeletedError, String(error));
    assert.equal(error.streamName, stream);
  });

  test("read as an iterator", async () => {
    const stream = named("iterate");
    await client.appendToStream(stream, events(3));
    const got = [];
    const subscription = client.subscribeToStream(stream, { fromRevision: START });
    for await (const resolved of subscription) {
      got.push(resolved);
      if (got.length === 3) break;
    }
    assert.deepEqual(numbers(got), [0, 1, 2]);
  });
});

describe("to $all", () => {
  test("behind a position, system events too", async () => {
    const { position } = await client.appendToStream(named("before"), events(1));
    const tag = randomUUID();
    const subscription = client.subscribeToAll({ fromPosition: position });
    const found = within(new Promise((resolve, reject) => {
      const seen = [];
      subscription.on("error", reject);
      subscription.on("data", (resolved) => {
        seen.push(resolved);
        if (resolved.event?.type === tag) resolve(seen);
      });
    }), "the event");
    await client.createPersistentSubscriptionToStream(named("system"), "g", db.persistentSubscriptionToStreamSettingsFromDefaults());
    await client.appendToStream(named("after"), events(1, tag));
    const seen = await found;
    await subscription.unsubscribe();
    assert.ok(seen.every(({ event }) => event.position.commit > position.commit));
    assert.ok(seen.some(({ event }) => event.streamId === "$persistentSubscriptionConfig"), "want the group's definition");
  });

  test("filtered, with checkpoints that move on", async () => {
    const tag = randomUUID();
    const { position } = await client.appendToStream(named("start"), events(1));
    const reached = [];
    const subscription = client.subscribeToAll({
      fromPosition: position,
      filter: db.eventTypeFilter({
        prefixes: [tag], maxSearchWindow: 32, checkpointInterval: 2,
        checkpointReached: (_, at) => { reached.push(at.commit); },
      }),
    });
    const taken = takes(subscription, 2);
    await client.appendToStream(named("filler"), events(384));
    await client.appendToStream(named("match"), events(2, tag));
    const got = await taken;
    assert.deepEqual(numbers(got), [0, 1]);
    assert.ok(reached.length >= 6, `want at least 6 checkpoints, found ${reached.length}`);
    assert.ok(reached.every((at, i) => i === 0 || at > reached[i - 1]), `want rising checkpoints, found ${reached}`);
  });

  for (const [what, filter] of [
    ["expression on streams", (tag) => db.streamNameFilter({ regex: `^${tag}-[xy]$` })],
    ["prefixes of streams", (tag) => db.streamNameFilter({ prefixes: [`${tag}-y`, `${tag}-x`] })],
    ["expression on types", (tag) => db.eventTypeFilter({ regex: "^Coun" })],
    ["no system events", (tag) => db.excludeSystemEvents()],
  ]) {
    test(`filtered by ${what}`, async () => {
      const tag = randomUUID();
      const { position } = await client.appendToStream(named("start"), events(1));
      const taken = takes(client.subscribeToAll({ fromPosition: position, filter: filter(tag) }), 2);
      await client.createPersistentSubscriptionToStream(named("system"), "g", db.persistentSubscriptionToStreamSettingsFromDefaults());
      await client.appendToStream(`${tag}-x`, events(2));
      assert.ok((await taken).every(({ event }) => !event.type.startsWith("$")));
    });
  }
});
