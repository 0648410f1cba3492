// Persistent subscriptions to streams and to $all.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, describe, test } from "node:test";
import { db, events, insecureClient, named, numbers, once, refused, takes, until, within } from "./tools.mjs";

const { END, PARK, RETRY, SKIP, START } = db;
const client = insecureClient("&connectionName=conformance");
after(() => client.dispose());

const toStream = db.persistentSubscriptionToStreamSettingsFromDefaults;
const toAll = db.persistentSubscriptionToAllSettingsFromDefaults;
const group = "crew";

const made = async (settings, count = 0) => {
  const stream = named("group");
  if (count) await client.appendToStream(stream, events(count));
  await client.createPersistentSubscriptionToStream(stream, group, toStream(settings));
  return stream;
};

describe("a group of a stream", () => {
  for (const [what, startFrom, want] of [["the start", START, [0, 1, 2, 3, 4]], ["a revision", 3n, [3, 4]], ["the end", END, [5, 6]]]) {
    test(`from ${what}`, async () => {
      const stream = await made({ startFrom }, 5);
      const subscription = client.subscribeToPersistentSubscriptionToStream(stream, group);
      const taken = takes(subscription, want.length, (event) => subscription.ack(event));
      await once(subscription, "confirmation");
      if (startFrom === END) await client.appendToStream(stream, events(2, "Counted", 5));
      assert.deepEqual(numbers(await taken), want);
    });
  }

  for (const [action, want] of [[SKIP, [0, 1]], [RETRY, [0, 0, 0, 1]], [PARK, [0, 1]]]) {
    test(`refused with ${action}`, async () => {
      const stream = await made({ startFrom: START, maxRetryCount: 2, readBatchSize: 1, liveBufferSize: 1 }, 2);
      const subscription = client.subscribeToPersistentSubscriptionToStream(stream, group, { bufferSize: 1 });
      const seen = [];
      await within(new Promise((resolve, reject) => {
        subscription.on("error", reject);
        subscription.on("data", async (resolved, retries) => {
          seen.push(resolved.event.data.n);
          if (resolved.event.data.n === 1) {
            await subscription.ack(resolved);
            resolve();
          } else await subscription.nack(action, "not now", resolved);
        });
      }), "the second event");
      await subscription.unsubscribe();
      assert.deepEqual(seen, want);
    });
  }

  test("parked ones come again when they are replayed", async () => {
    const stream = await made({ startFrom: START }, 3);
    const subscription = client.subscribeToPersistentSubscriptionToStream(stream, group);
    const seen = [];
    const done = within(new Promise((resolve, reject) => {
      subscription.on("error", reject);
      subscription.on("data", async (resolved) => {
        seen.push(resolved.event.data.n);
        if (seen.length <= 3) await subscription.nack(PARK, "later", resolved);
        else await subscription.ack(resolved);
        if (seen.length === 6) resolve();
      });
    }), "three events, twice");
    await until("three are parked", async () => (await client.getPersistentSubscriptionToStreamInfo(stream, group)).stats.parkedMessageCount >= 3);
    await client.replayParkedMessagesToStream(stream, group);
    await done;
    await subscription.unsubscribe();
    assert.deepEqual(seen.slice(3).sort(), [0, 1, 2]);
  });

  test("made twice, changed, deleted, not there", async () => {
    const stream = await made({ startFrom: START });
    const twice = await refused(client.createPersistentSubscriptionToStream(stream, group, toStream()), db.PersistentSubscriptionExistsError);
    assert.deepEqual([twice.streamName, twice.groupName], [stream, group]);
    await client.updatePersistentSubscriptionToStream(stream, group, toStream({ maxRetryCount: 3, messageTimeout: 5000 }));
    assert.equal((await client.getPersistentSubscriptionToStreamInfo(stream, group)).settings.maxRetryCount, 3);
    await client.deletePersistentSubscriptionToStream(stream, group);
    for (const call of [
      () => client.deletePersistentSubscriptionToStream(stream, group), () => client.updatePersistentSubscriptionToStream(stream, group, toStream()),
      () => client.getPersistentSubscriptionToStreamInfo(stream, group), () => client.replayParkedMessagesToStream(stream, group),
      () => client.listPersistentSubscriptionsToStream(stream),
    ]) await refused(call(), db.PersistentSubscriptionDoesNotExistError);
  });

  test("settings that cannot be", async () => {
    const error = await refused(
      client.createPersistentSubscriptionToStream(named("wrong"), group, toStream({ readBatchSize: 500, historyBufferSize: 500 })), db.PersistentSubscriptionFailedError);
    assert.ok(error.reason.length > 0);
  });

  test("more consumers than it takes", async () => {
    const stream = await made({ startFrom: START, maxSubscriberCount: 1 });
    const first = client.subscribeToPersistentSubscriptionToStream(stream, group);
    await once(first, "confirmation");
    const second = client.subscribeToPersistentSubscriptionToStream(stream, group);
    const error = await once(second, "error");
    assert.ok(error instanceof db.PersistentSubscriptionMaximumSubscribersReachedError, String(error));
    await first.unsubscribe();
  });

  test("deleted under its consumer", async () => {
    const stream = await made({ startFrom: START });
    const subscription = client.subscribeToPersistentSubscriptionToStream(stream, group);
    await once(subscription, "confirmation");
    const ended = once(subscription, "error");
    await client.deletePersistentSubscriptionToStream(stream, group);
    assert.ok((await ended) instanceof db.PersistentSubscriptionDroppedError);
  });

  test("what is said of it", async () => {
    const stream = await made({ startFrom: START, extraStatistics: true, consumerStrategyName: db.PINNED }, 4);
    const subscription = client.subscribeToPersistentSubscriptionToStream(stream, group);
    let left = 4;
    await within(new Promise((resolve, reject) => {
      subscription.on("error", reject);
      subscription.on("data", async (resolved) => {
        await subscription.ack(resolved);
        if (--left === 0) resolve();
      });
    }), "four events");
    const info = await until("all are counted", async () => {
      const asked = await client.getPersistentSubscriptionToStreamInfo(stream, group);
      return asked.stats.totalItems >= 4 && asked;
    });
    assert.deepEqual([info.eventSource, info.groupName, info.status, info.settings.consumerStrategyName], [stream, group, "Live", "Pinned"]);
    assert.equal(info.connections.length, 1);
    assert.equal(info.connections[0].connectionName, "conformance");
    assert.ok(info.connections[0].extraStatistics.get("highest") >= 0n);
    await subscription.unsubscribe();
  });

  for (const strategy of [db.DISPATCH_TO_SINGLE, db.ROUND_ROBIN, db.PINNED, "PinnedByCorrelation"]) {
    test(`two consumers, ${strategy}`, async () => {
      const stream = await made({ startFrom: START, consumerStrategyName: strategy });
      const consumers = [0, 1].map(() => client.subscribeToPersistentSubscriptionToStream(stream, group));
      const by = new Map();
      const done = within(new Promise((resolve, reject) => {
        consumers.forEach((consumer, i) => {
          consumer.on("error", reject);
          consumer.on("data", async (resolved) => {
            by.set(resolved.event.data.n, i);
            await consumer.ack(resolved);
            if (by.size === 40) resolve();
          });
        });
      }), "forty events");
      await Promise.all(consumers.map((consumer) => once(consumer, "confirmation")));
      for (let n = 0; n < 40; n += 10) await client.appendToStream(stream, events(10, "Counted", n));
      await done;
      await Promise.all(consumers.map((consumer) => consumer.unsubscribe()));
      const shared = new Set(by.values()).size;
      if (strategy === db.ROUND_ROBIN) assert.equal(shared, 2);
      if (strategy === db.PINNED) assert.equal(shared, 1);
    });
  }

  test("lists, and the restart of all", async () => {
    const stream = await made({ startFrom: START });
    await client.createPersistentSubscriptionToStream(stream, "other", toStream());
    assert.deepEqual((await client.listPersistentSubscriptionsToStream(stream)).map(({ groupName }) => groupName).sort(), [group, "other"]);
    const all = await client.listAllPersistentSubscriptions();
    assert.equal(all.filter(({ eventSource }) => eventSource === stream).length, 2);
    await client.restartPersistentSubscriptionSubsystem();
    await until("it is back", async () => (await client.listPersistentSubscriptionsToStream(stream).catch(() => [])).length === 2);
  });
});

describe("a group of $all", () => {
  test("filtered, from a position", async () => {
    const tag = randomUUID();
    const { position } = await client.appendToStream(named("before"), events(1, tag, 99));
    await client.createPersistentSubscriptionToAll(tag, toAll({ startFrom: position }), { filter: db.eventTypeFilter({ prefixes: [tag] }) });
    await client.appendToStream(named("x"), events(3, "Other"));
    await client.appendToStream(named("x"), events(2, tag));
    const subscription = client.subscribeToPersistentSubscriptionToAll(tag);
    const got = await takes(subscription, 3, (event) => subscription.ack(event));
    assert.deepEqual(numbers(got), [99, 0, 1]);
    const info = await client.getPersistentSubscriptionToAllInfo(tag);
    assert.deepEqual([info.eventSource, info.groupName], ["$all", tag]);
    assert.equal(info.settings.startFrom.commit, position.commit);
    assert.ok((await client.listPersistentSubscriptionsToAll()).some(({ groupName }) => groupName === tag));
    await client.updatePersistentSubscriptionToAll(tag, toAll({ maxRetryCount: 1 }));
    await client.replayParkedMessagesToAll(tag);
    await client.deletePersistentSubscriptionToAll(tag);
    await refused(client.getPersistentSubscriptionToAllInfo(tag), db.PersistentSubscriptionDoesNotExistError);
  });

  test("a position beyond the log", async () => {
    await refused(
      client.createPersistentSubscriptionToAll(randomUUID(), toAll({ startFrom: { commit: 1n << 40n, prepare: 1n << 40n } })), db.PersistentSubscriptionFailedError);
  });

  test("the system's events too", async () => {
    const name = randomUUID();
    await client.createPersistentSubscriptionToAll(name, toAll({ startFrom: START }));
    const subscription = client.subscribeToPersistentSubscriptionToAll(name);
    const got = await takes(subscription, 10, (event) => subscription.ack(event));
    assert.ok(got.some(({ event }) => event.streamId.startsWith("$")));
    await client.deletePersistentSubscriptionToAll(name);
  });
});
