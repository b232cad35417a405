import type {
  AccountInfo,
  CallView,
  Node as ClusterNode,
  Overview as GeneratedOverview,
  NodeInfo,
  ObsProblem,
  Payment,
  SocketInfo,
  WebhookEndpoint,
} from "../../sdk/src/generated/api.ts";

/** What the node tells an operator; its shapes come from the node's own description of its API. */
export type Overview = GeneratedOverview;
export type Account = AccountInfo;
export type Call = CallView;
export type Cluster = ClusterNode;
export type Hook = WebhookEndpoint;
export type Node = NodeInfo;
export type RecentProblem = ObsProblem;
export type Socket = SocketInfo;
export type { Delivery, DeliveryListOutput, LedgerAccountListOutput } from "../../sdk/src/generated/api.ts";
export type { Payment };

/** An open topic and how many sessions of this node have joined it. */
export interface Topic {
  topic: string;
  joined: number;
}

/** All that was asked for at one moment. What a node does not offer is undefined. */
export interface Look {
  overview: Overview;
  nodes: Cluster[] | undefined;
  hooks: Hook[] | undefined;
}

/** Tells problems apart: one request may meet several. */
export function problemKey(p: RecentProblem): string {
  return `${p.time} ${p.request_id}`;
}
