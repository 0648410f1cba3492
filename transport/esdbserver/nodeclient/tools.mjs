// What every part of the suite uses: the client, names that nobody else has, and
// waiting for conditions. The nodes are started by nodeclient_test.go.
import { randomUUID } from "node:crypto";
import db from "@eventstore/db-client";

export const { EventStoreDBClient, jsonEvent, binaryEvent } = db;
export { db };

const patience = 60_000; // a loaded machine is slow

export const insecureNode = process.env.RIFT_INSECURE; // host:port
export const secureNode = process.env.RIFT_SECURE;
export const authority = process.env.RIFT_CA; // file of the certificate

export const insecureClient = (options = "") =>
  EventStoreDBClient.connectionString(`esdb://${insecureNode}?tls=false${options}`);

export const secureClient = (login = "admin:changeit@", options = "") =>
  EventStoreDBClient.connectionString(`esdb://${login}${secureNode}?tls=true&tlsCAFile=${authority}${options}`);

export const named = (kind) => `${kind}-${randomUUID()}`;

export const events = (count, type = "Counted", from = 0) =>
  Array.from({ length: count }, (_, i) => jsonEvent({ type, data: { n: from + i } }));

export const all = async (read) => {
  const found = [];
  for await (const one of read) found.push(one);
  return found;
};

export const numbers = (resolved) => resolved.map(({ event }) => event.data.n);

// within refuses to wait for ever.
export const within = (promise, what) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited too long for ${what}`)), patience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

export const once = (emitter, name) => within(new Promise((resolve) => emitter.once(name, resolve)), name);

// takes collects from a subscription until it has so many, then leaves it.
export const takes = (subscription, count, each = () => {}) =>
  within(
    new Promise((resolve, reject) => {
      const got = [];
      subscription.on("error", reject);
      subscription.on("data", async (resolved) => {
        if (got.length >= count) return;
        got.push(resolved);
        await each(resolved);
        if (got.length === count) {
          await subscription.unsubscribe();
          resolve(got);
        }
      });
    }),
    `${count} events`,
  );

// until asks again and again for what becomes true.
export const until = async (what, ask) => {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited too long until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

// refused gives the error of a call that is to fail, of the class that it is to have.
export const refused = async (promise, kind) => {
  let answer;
  try {
    answer = await promise;
  } catch (error) {
    if (error instanceof kind) return error;
    throw new Error(`want ${kind.name}, found ${error?.constructor?.name}: ${error?.message}`, { cause: error });
  }
  throw new Error(`want ${kind.name}, found the answer ${JSON.stringify(answer, (_, v) => (typeof v === "bigint" ? String(v) : v))}`);
};
