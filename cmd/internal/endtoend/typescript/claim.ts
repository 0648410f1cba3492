// A worker in TypeScript: it claims an item, reports on it and reads it back, by a
// client that was generated from the node's own description of its API.
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

declare const process: { argv: string[]; exit(code: number): never };

const address = process.argv[2];
if (address === undefined) throw new Error("want the address of a node");
const rift = createClient<paths>({ baseUrl: address });

const added = await rift.POST("/work/add", { body: { task_id: "ts-1", task_type: "selfplay", payload: { games: 200 } } });
if (added.error) throw new Error(added.error.detail);

const claimed = await rift.POST("/work/claim", { body: { node_id: "ts", limit: 1, wait: 5 } });
if (claimed.error) throw new Error(claimed.error.detail);
if (!("items" in claimed.data)) throw new Error("want items, found a dry run");
const item = claimed.data.items[0];
if (item === undefined) throw new Error("want an item, found none");
const lease: number = item.lease;

const done = await rift.POST("/work/complete", { body: { task_id: item.task_id, lease, result: { games: 200 } } });
if (done.error) throw new Error(done.error.detail);

const read = await rift.GET("/work/items/{id}", { params: { path: { id: item.task_id }, query: { after: done.data.position } } });
if (read.error) throw new Error(read.error.detail);
const state: string = read.data.item.state;

const list = await rift.GET("/work/items", { params: { query: { state: "done", limit: 5 } } });
if (list.error) throw new Error(list.error.detail);
const attempts: number[] = list.data.items.map((row) => row.attempts);

// A key that no claim has does not compile.
// @ts-expect-error
const wrong = () => rift.POST("/work/claim", { body: { node: "ts" } });
void wrong;

console.log(`${item.task_id} ${state} ${attempts.length}`);
