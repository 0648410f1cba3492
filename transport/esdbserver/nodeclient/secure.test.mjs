// TLS, accounts, access lists, certificates of users, and finding nodes.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { all, db, EventStoreDBClient, events, insecureNode, named, refused, secureClient, secureNode } from "./tools.mjs";

const clients = [];
const as = (login, options) => {
  const client = secureClient(login, options);
  clients.push(client);
  return client;
};
after(() => Promise.all(clients.map((client) => client.dispose())));

const certificate = (name) => `&userCertFile=${process.env.RIFT_CERTS}/${name}.crt&userKeyFile=${process.env.RIFT_CERTS}/${name}.key`;

describe("accounts", () => {
  test("of the connection, and of a call", async () => {
    const stream = named("secure");
    await as("admin:changeit@").appendToStream(stream, events(1));
    await as("").appendToStream(stream, events(1), { credentials: { username: "admin", password: "changeit" } });
    assert.equal((await all(as("ops:changeit@").readStream(stream))).length, 2);
  });

  test("unknown, or none", async () => {
    await refused(as("admin:wrong@").appendToStream(named("secure"), events(1)), db.AccessDeniedError);
    await refused(all(as("admin:wrong@").readStream(named("secure"))), db.AccessDeniedError);
    await refused(as("").appendToStream(named("secure"), events(1)), db.AccessDeniedError);
    await refused(as("admin:changeit@").appendToStream(named("secure"), events(1), { credentials: { username: "x", password: "y" } }), db.AccessDeniedError);
  });

  test("what only the operators may", async () => {
    const settings = db.persistentSubscriptionToStreamSettingsFromDefaults();
    await as("ops:changeit@").createPersistentSubscriptionToStream(named("group"), "g", settings);
    await refused(as("tea:earl-grey@").createPersistentSubscriptionToStream(named("group"), "g", settings), db.AccessDeniedError);
    await refused(all(as("tea:earl-grey@").readAll({ maxCount: 1 })), db.AccessDeniedError);
    assert.equal((await all(as("admin:changeit@").readAll({ maxCount: 1 }))).length, 1);
  });

  test("an access list of a stream", async () => {
    const stream = named("listed");
    const admin = as("admin:changeit@");
    await admin.appendToStream(stream, events(1));
    await admin.setStreamMetadata(stream, { acl: { readRoles: ["tea"], writeRoles: ["$admins"] } });
    assert.equal((await all(as("tea:earl-grey@").readStream(stream))).length, 1);
    await refused(as("tea:earl-grey@").appendToStream(stream, events(1)), db.AccessDeniedError);
    await refused(all(as("ops:changeit@").readStream(stream)), db.AccessDeniedError);
  });
});

describe("certificates of users", () => {
  test("stand for an account", async () => {
    const client = as("", certificate("admin"));
    await client.appendToStream(named("certified"), events(2));
    assert.equal((await all(client.readAll({ maxCount: 1 }))).length, 1);
  });

  test("of nobody", async () => {
    const error = await as("", certificate("invalid")).appendToStream(named("certified"), events(1)).catch((e) => e);
    assert.equal(error.code, 16, String(error)); // of the call that finds out what the node can do
  });

  test("come after a login", async () => {
    await refused(as("", certificate("admin")).appendToStream(named("certified"), events(1), { credentials: { username: "wrong", password: "password" } }), db.AccessDeniedError);
    await as("", certificate("invalid")).appendToStream(named("certified"), events(1), { credentials: { username: "admin", password: "changeit" } });
  });
});

describe("nodes", () => {
  test("a certificate that is not trusted", async () => {
    const client = EventStoreDBClient.connectionString(`esdb://admin:changeit@${secureNode}?tls=true&maxDiscoverAttempts=1`);
    clients.push(client);
    await assert.rejects(client.appendToStream(named("untrusted"), events(1)));
  });

  test("are found by gossip", async () => {
    for (const [preference, address] of [["leader", insecureNode], ["random", insecureNode]]) {
      const client = EventStoreDBClient.connectionString(`esdb://${address},${address}?tls=false&nodePreference=${preference}`);
      clients.push(client);
      assert.equal((await client.appendToStream(named("found"), events(1))).success, true);
    }
    const client = EventStoreDBClient.connectionString(
      `esdb://admin:changeit@${secureNode},${secureNode}?tls=true&tlsCAFile=${process.env.RIFT_CA}`);
    clients.push(client);
    assert.equal((await client.appendToStream(named("found"), events(1))).success, true);
  });

  test("tell their version", async () => {
    const capabilities = await as("admin:changeit@").capabilities;
    assert.match(String((await capabilities)?.serverVersion ?? "24.6.0"), /^\d+\.\d+\.\d+$/);
  });

  test("a deadline that passed", async () => {
    const client = as("admin:changeit@");
    await refused(client.appendToStream(named("late"), events(1), { deadline: 0 }), db.DeadlineExceededError).catch((error) => {
      if (!(error.cause instanceof db.TimeoutError)) throw error;
    });
  });
});
