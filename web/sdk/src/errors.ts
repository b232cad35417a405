import type { Problem } from "./types.ts";

/** The server refused: `code` says why, `problem` says it in full. */
export class ParleyError extends Error {
  readonly code: string;
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail || problem.title || problem.code);
    this.name = "ParleyError";
    this.code = problem.code;
    this.problem = problem;
  }
}

/** No answer came because the connection went away; the request may or may not have run. */
export class ConnectionLost extends Error {
  constructor(message = "The connection was lost before the answer came.") {
    super(message);
    this.name = "ConnectionLost";
  }
}

/** Makes a problem for what never reached the server. */
export function localProblem(code: string, title: string, detail = title): ParleyError {
  return new ParleyError({ type: "about:blank", title, status: 0, code, detail });
}
