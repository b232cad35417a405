import type {
  AccountInfo,
  CallView,
  NodeInfo,
  ObsProblem,
  Payment,
  SocketInfo,
} from "../../sdk/src/generated/api.ts";

/** What the node tells an operator; its shapes come from the node's own description of its API. */
export type { Overview } from "../../sdk/src/generated/api.ts";
export type Account = AccountInfo;
export type Call = CallView;
export type Node = NodeInfo;
export type RecentProblem = ObsProblem;
export type Socket = SocketInfo;
export type { Payment };

/** Tells problems apart: one request may meet several. */
export function problemKey(p: RecentProblem): string {
  return `${p.time} ${p.request_id}`;
}
