import type { AudioSink } from "./audio.ts";
import type { Method, Params, Result } from "./door.ts";
import type { VerifiedKeys } from "./verification.ts";

/** What a call needs of the client around it. */
export interface CallHost {
  readonly user: string;
  readonly device: string;
  /** A request that is answered now or fails. */
  request<M extends Method>(method: M, params: Params<M>): Promise<Result<M>>;
  /** A write that is sent again until answered, in the call's order. */
  deliver<M extends Method>(call: string, method: M, params: Params<M>): Promise<Result<M>>;
  microphone(): Promise<MediaStreamTrack>;
  certificate(): Promise<RTCCertificate>;
  audio: AudioSink | undefined;
  keys: {
    load(call: string): VerifiedKeys | undefined;
    save(call: string, keys: VerifiedKeys | undefined): void;
  };
}
