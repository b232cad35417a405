import type { Parley } from "@parley/client";

declare global {
  var parley: Parley | undefined;
}
