import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A voice that a browser's fake microphone speaks with. */
export interface Voice {
  name: string;
  /** A WAV file, longer than any test, since a looping file slips. */
  file: string;
  /** Loudness every 10 ms. */
  envelope: Float32Array;
}

const texts = {
  ann:
    "Good morning. I am calling about the bicycle that you offered. Is the blue one still there? I would like to pay today, " +
    "if the price has not changed. Please tell me the amount once more, slowly. Thank you very much, that sounds right to me.",
  bob:
    "Yes, hello, this is the workshop. Everything is ready, I checked both brakes and the chain yesterday evening. " +
    "One hundred and twenty, as we said. Read me your two words first, then I will read mine, and then we both press confirm.",
  cleo: "Hi there! Sorry that I am late. Can everybody hear me now? Wonderful, then let us begin with the bill for dinner, shall we.",
};

const styles = {
  ann: ["en-us+f3", "165", "60"],
  bob: ["en-gb+m5", "125", "30"],
  cleo: ["en-gb-scotland+f2", "195", "80"],
};

const made = new Map<string, Voice>();

export type VoiceName = keyof typeof texts;

/** Speaks a text for about a minute and a half, with espeak-ng. */
export function voice(name: VoiceName): Voice {
  const known = made.get(name);
  if (known) return known;
  const file = join(mkdtempSync(join(tmpdir(), "parley-voice-")), `${name}.wav`);
  const [speaker, speed, pitch] = styles[name];
  const text = Array.from({ length: 8 }, (_, i) => `Number ${i * i + 3}. ${texts[name]}`).join(" ");
  execFileSync("espeak-ng", [
    "-v",
    speaker ?? "en",
    "-s",
    speed ?? "150",
    "-p",
    pitch ?? "50",
    "-a",
    "150",
    "-w",
    file,
    text,
  ]);
  const result = { name, file, envelope: envelopeOf(file) };
  made.set(name, result);
  return result;
}

function envelopeOf(file: string): Float32Array {
  const wav = readFileSync(file);
  const rate = wav.readUInt32LE(24);
  const start = wav.indexOf("data") + 8;
  const samples = new Int16Array(
    wav.buffer.slice(wav.byteOffset + start, wav.byteOffset + wav.length - ((wav.length - start) % 2)),
  );
  const hop = Math.round(rate / 100);
  const out = new Float32Array(Math.floor(samples.length / hop));
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (let j = i * hop; j < (i + 1) * hop; j++) sum += ((samples[j] ?? 0) / 32_768) ** 2;
    out[i] = Math.sqrt(sum / hop);
  }
  return out;
}

/** Pieces of this length are aligned one by one, since a receiver stretches and squeezes time a little. */
const PIECE = 200;
const STRETCH = 30;

/**
 * How well what was heard fits somewhere into what was said, -1 to 1: the
 * correlation of loudness over time, piece by piece, at the best place.
 */
export function likeness(heard: Float32Array, said: Float32Array): number {
  const [h, s] = [loudness(heard), loudness(said)];
  const pieces = Array.from({ length: Math.floor(h.length / PIECE) }, (_, k) =>
    fits(h.subarray(k * PIECE, (k + 1) * PIECE), s),
  );
  let best = -1;
  for (let lag = 0; lag + pieces.length * PIECE <= s.length; lag++) {
    const sum = pieces.reduce((n, fit, k) => n + maxNear(fit, lag + k * PIECE), 0);
    best = Math.max(best, sum / pieces.length);
  }
  return best;
}

function fits(piece: Float32Array, said: Float32Array): Float32Array {
  const out = new Float32Array(said.length - piece.length + 1);
  for (let lag = 0; lag < out.length; lag++)
    out[lag] = pearson(piece, said.subarray(lag, lag + piece.length));
  return out;
}

function maxNear(fit: Float32Array, at: number): number {
  return Math.max(...fit.subarray(Math.max(0, at - STRETCH), at + STRETCH + 1));
}

/** Decibels above the noise that nobody hears, so that loud vowels do not outweigh the rhythm. */
function loudness(envelope: Float32Array): Float32Array {
  return envelope.map((v) => Math.max(0, 20 * Math.log10(v + 1e-9) + 50));
}

function pearson(a: Float32Array, b: Float32Array): number {
  const mean = (x: Float32Array) => x.reduce((n, v) => n + v, 0) / x.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [(a[i] ?? 0) - ma, (b[i] ?? 0) - mb];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa && bb ? ab / Math.sqrt(aa * bb) : 0;
}

/** The mean loudness of a recording, 0 to 1. */
export function energy(envelope: Float32Array): number {
  return Math.sqrt(envelope.reduce((n, v) => n + v * v, 0) / envelope.length);
}
