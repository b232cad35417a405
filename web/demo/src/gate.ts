import type { PaymentSheet, Policy } from "@parley/client";

/** What a person has read and answered of a payment's questions. */
export interface Answers {
  read: boolean;
  options: Record<string, string>;
}

export const noAnswers: Answers = { read: false, options: {} };

/** Whether something is asked that must be acknowledged before money moves. */
export function asks(policy: Policy): boolean {
  return (policy.warnings ?? []).length + (policy.questions ?? []).length > 0;
}

export function answered(policy: Policy, answers: Answers): boolean {
  const read = answers.read || (policy.warnings ?? []).length === 0;
  return read && (policy.questions ?? []).every((q) => answers.options[q.id] !== undefined);
}

/** Until when there is nothing to do but wait: a pause, a limit, or held money that cools off. */
export function waitsUntil({ policy, payment }: PaymentSheet, now: number): string | undefined {
  const cooling = payment.held > 0 ? policy.cooling_off_until : undefined;
  const times = [policy.until, policy.frees, cooling].filter((t) => t !== undefined && Date.parse(t) > now);
  return times.sort().at(-1);
}

/** Why the payer cannot go on at this moment. */
export function obstacle(
  sheet: PaymentSheet,
  answers: Answers,
  now: number,
): "answer" | "wait" | "limit" | undefined {
  const { policy } = sheet;
  if (asks(policy) && !answered(policy, answers)) return "answer";
  if (waitsUntil(sheet, now)) return "wait";
  return policy.what.includes("limit") && !policy.frees ? "limit" : undefined;
}
