// Selects the pictures of the page, and requests their data.

import { count, plural } from "../../model/format.ts";
import { NOT_IN_REPORT } from "../../source/recorded.ts";
import { Refused, isAbort, sentence } from "../../source/source.ts";
import type { Source } from "../../source/source.ts";
import { magnitudes, readNpy } from "../../wire/npy.ts";
import { readPreview } from "../../wire/preview.ts";
import { arrayNamed, holderOf, isDone, isOver, isSummed, phaseNamed } from "../../wire/status.ts";
import type { ArrayInfo, Status } from "../../wire/status.ts";
import { h, setAttribute, whenSeen } from "../dom.ts";
import { Picture } from "./picture.ts";
import type { PixelOf } from "./picture.ts";

type Stack = "raw" | "recentered";

// Enough for a card at twice its usual size; a report contains smaller pictures.
const EDGE = 512;
const EDGE_IN_REPORT = 256;
const PREVIEW_EVERY_MS = 2000;
const RETRY_MS = 2000;
const SLIDER_REST_MS = 120;

/** The name of the job's spectrum array, if the job computes spectra. */
export function spectrumName(status: Status): string | null {
  return ["power", "amplitude", "spectrum"].find((name) => arrayNamed(status, name) !== undefined) ?? null;
}

/** The progress of a phase: `1 of 400 frames`. */
export function howFar(status: Status, name: string): string {
  const phase = phaseNamed(status, name);
  if (phase === undefined) return "";
  const unit = name === "Fft" || name === "Rechunk" ? "bands" : name === "Write" ? "objects" : "frames";
  return `${count(phase.done)} of ${count(phase.total)} ${unit}`;
}

/** A card that updates its own picture. */
interface Card {
  readonly picture: Picture;
  /** Called with every status, and periodically between statuses. */
  refresh(status: Status, nowMs: number): void;
}

/** All cards. */
export class Cards {
  private readonly cards: Card[];
  private readonly seen = new Set<Card>();
  private status: Status | null = null;

  constructor(root: HTMLElement, source: Source, onPixel: (pixel: PixelOf) => void) {
    this.cards = [
      new MeanCard("raw", source, onPixel),
      new MeanCard("recentered", source, onPixel),
      new PowerCard(source, onPixel),
      new FrameCard(source, onPixel),
    ];
    for (const card of this.cards) {
      root.append(card.picture.box);
      whenSeen(card.picture.box, (seen) => {
        // A report needs no requests, and a user may print the report.
        if (seen || source.recorded) this.seen.add(card);
        else this.seen.delete(card);
        this.refresh();
      });
    }
    setInterval(() => this.refresh(), 500);
    document.addEventListener("visibilitychange", () => this.refresh());
  }

  /** Shows a status. */
  update(status: Status): void {
    this.status = status;
    this.refresh();
  }

  /** Marks a pixel in all pictures of its stack. */
  mark(pixel: PixelOf): void {
    for (const { picture } of this.cards) picture.mark(pixel);
  }

  private refresh(): void {
    if (this.status === null || document.hidden) return;
    for (const card of this.seen) card.refresh(this.status, performance.now());
  }
}

/** The mean of a stack: of the frames so far while frames arrive, of all frames afterwards. */
class MeanCard implements Card {
  readonly picture: Picture;
  private readonly stack: Stack;
  private readonly source: Source;
  private busy = false;
  /** Whether the picture is final. */
  private settled = false;
  private nextMs = 0;
  private refused = false;

  constructor(stack: Stack, source: Source, onPixel: (pixel: PixelOf) => void) {
    this.stack = stack;
    this.source = source;
    this.picture = new Picture(stack === "raw" ? "Mean frame" : "Recentered mean", `card-${stack}-mean`, source.recorded, onPixel);
  }

  refresh(status: Status, nowMs: number): void {
    const phase = this.stack === "raw" ? "Load" : "Recenter";
    this.picture.box.hidden = this.stack === "recentered" && arrayNamed(status, "recentered") === undefined && phaseNamed(status, "Recenter") === undefined;
    if (this.busy || this.settled || nowMs < this.nextMs || this.picture.box.hidden) return;
    const array = arrayNamed(status, `${this.stack}_mean_frame`);
    if (!isSummed(status, this.stack)) return this.picture.say(`The job makes no mean of its ${this.stack} frames: reduce: [mean] in the manifest asks for it.`);
    const begun = (phaseNamed(status, phase)?.done ?? 0) > 0;
    // The server sums raw frames during the recentering.
    const summed = isDone(status, phase) && (phaseNamed(status, "Recenter") === undefined || isDone(status, "Recenter"));
    if (array !== undefined && summed && !this.refused) this.ask(() => this.whole(array));
    else if (begun || isOver(status)) this.ask(() => this.soFar(isOver(status), summed));
    else this.picture.say("Waits for the first frame.");
  }

  private ask(get: () => Promise<void>): void {
    this.busy = true;
    get()
      .catch((error: unknown) => {
        if (error instanceof Refused && !error.later) {
          this.settled = !this.picture.shows || this.refused;
          if (!this.picture.shows) this.picture.say(capital(error.message));
        } else if (!this.picture.shows) {
          this.picture.say(`Waits: ${sentence(error)}.`);
        }
      })
      .finally(() => {
        this.busy = false;
        this.nextMs = performance.now() + PREVIEW_EVERY_MS;
      });
  }

  private async whole(array: ArrayInfo): Promise<void> {
    try {
      await showFrame(this.picture, this.source, { array, stack: this.stack, caption: "mean of all frames" });
      this.settled = true;
    } catch (error) {
      // The sums of the previews may still exist.
      if (!(error instanceof Refused) || error.later) throw error;
      this.refused = true;
      await this.soFar(true, true);
    }
  }

  private async soFar(over: boolean, done: boolean): Promise<void> {
    const edge = this.source.recorded ? EDGE_IN_REPORT : EDGE;
    const preview = readPreview(await this.source.get(`api/v1/preview/${this.stack}?edge=${edge}`, "page"));
    const all = preview.frames >= preview.of;
    if (preview.frames === 0) return this.picture.say("Waits for the first frame.");
    this.picture.show({
      values: preview.values,
      rows: preview.shown[0],
      columns: preview.shown[1],
      stride: preview.stride,
      shape: preview.shape,
      stack: this.stack,
      caption: all ? "mean of all frames" : `mean of ${count(preview.frames)} of ${plural(preview.of, "frame")} so far`,
      file: `${this.stack}_mean_frame`,
      npy: null,
    });
    this.settled = this.source.recorded || over || (done && all);
  }
}

/** The power map: the change of every pixel over time. */
class PowerCard implements Card {
  readonly picture: Picture;
  private readonly source: Source;
  private busy = false;
  private settled = false;
  private nextMs = 0;

  constructor(source: Source, onPixel: (pixel: PixelOf) => void) {
    this.source = source;
    this.picture = new Picture("Power", "card-power", source.recorded, onPixel, "magma", true);
  }

  refresh(status: Status, nowMs: number): void {
    const name = spectrumName(status);
    this.picture.box.hidden = name === null && phaseNamed(status, "Fft") === undefined;
    if (this.busy || this.settled || nowMs < this.nextMs || this.picture.box.hidden) return;
    const reduction = ["mean", "sum", "std", "max"].find((of) => name !== null && arrayNamed(status, `${name}_${of}_frame`) !== undefined);
    if (name === null || reduction === undefined) {
      this.settled = isOver(status);
      return this.picture.say("The job makes no map of its spectra: reduce: [mean] in the manifest asks for it.");
    }
    if (!isDone(status, "Fft")) return this.picture.say(isOver(status) ? "The job ended before its spectra were whole." : `Waits for the FFT: ${howFar(status, "Fft")}.`);
    this.busy = true;
    const stack = arrayNamed(status, "recentered") === undefined ? "raw" : "recentered";
    showFrame(this.picture, this.source, { array: arrayNamed(status, `${name}_${reduction}_frame`)!, stack, caption: `${reduction} of ${name} over all frequencies` })
      .then(() => {
        this.settled = true;
      })
      .catch((error: unknown) => {
        const later = error instanceof Refused && error.later;
        this.settled = !later;
        this.picture.say(later ? `Waits: ${sentence(error)}.` : capital(sentence(error)));
      })
      .finally(() => {
        this.busy = false;
        this.nextMs = performance.now() + RETRY_MS;
      });
  }
}

/** A frame of the user's choice, with a slider. */
class FrameCard implements Card {
  readonly picture: Picture;
  private readonly source: Source;
  private readonly slider: HTMLInputElement;
  private readonly number: HTMLInputElement;
  private readonly of: HTMLSelectElement;
  private status: Status | null = null;
  private frames = 0;
  private names = "";
  private asked = "";
  private giveUp: AbortController | null = null;
  private timer = 0;

  constructor(source: Source, onPixel: (pixel: PixelOf) => void) {
    this.source = source;
    this.picture = new Picture("Frame", "card-frame", source.recorded, onPixel);
    this.slider = h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Frame number", testid: "frame-slider" });
    this.number = h("input", { type: "number", min: 0, max: 0, value: 0, "aria-label": "Frame number, to type", testid: "frame-number" });
    this.of = h("select", { "aria-label": "Frames of", testid: "frame-of", onchange: () => this.want(0) });
    this.slider.addEventListener("input", () => {
      this.number.value = this.slider.value;
      this.want(SLIDER_REST_MS);
    });
    this.number.addEventListener("input", () => {
      this.slider.value = this.number.value;
      this.want(SLIDER_REST_MS);
    });
    this.picture.extra.append(this.slider, this.number, this.of);
  }

  refresh(status: Status): void {
    const first = this.status === null;
    this.status = status;
    const stacks = (["recentered", "raw"] as const).filter((name) => arrayNamed(status, name) !== undefined);
    this.picture.box.hidden = stacks.length === 0;
    if (stacks.length === 0) return;
    if (stacks.join() !== this.names) {
      this.names = stacks.join();
      this.of.replaceChildren(...stacks.map((name) => h("option", { value: name }, name)));
    }
    this.frames = arrayNamed(status, stacks[0]!)?.shape[0] ?? 0;
    for (const input of [this.slider, this.number]) setAttribute(input, "max", String(Math.max(0, this.frames - 1)));
    if (this.source.recorded) {
      this.picture.extra.hidden = true;
      this.picture.say(`Single frames are ${NOT_IN_REPORT}.`);
    } else if (first || (this.asked === "" && this.timer === 0)) {
      this.want(0);
    }
  }

  /** Requests the frame of the slider after a pause, and cancels an older request. */
  private want(restMs: number): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      void this.get();
    }, restMs);
  }

  private async get(): Promise<void> {
    const { status } = this;
    const stack = this.of.value as Stack;
    const array = status === null ? undefined : arrayNamed(status, stack);
    const frame = Math.min(Math.max(0, Math.round(Number(this.slider.value))), this.frames - 1);
    if (status === null || array === undefined) return;
    const phase = phaseNamed(status, stack === "raw" ? "Load" : "Recenter");
    if (phase !== undefined && phase.done === 0 && !isOver(status)) {
      this.picture.say("Waits for the first frame.");
      this.asked = "";
      return;
    }
    const wanted = `${stack} ${frame}`;
    if (wanted === this.asked) return;
    this.giveUp?.abort();
    const holder = phase === undefined ? null : holderOf(status, phase.name, frame);
    if (holder !== null && !holder.there) {
      // The server would refuse this request after a wait. The statuses show when the frame is ready.
      const why = holder.works ? "has not come to it yet" : "does not respond";
      const waits = `Waits for frame ${frame}: server ${holder.server} ${why}.`;
      this.picture.say(holder.works && isOver(status) ? `The job ended without frame ${frame}.` : waits, true);
      this.asked = "";
      return;
    }
    this.asked = wanted;
    const giveUp = new AbortController();
    this.giveUp = giveUp;
    setAttribute(this.slider, "aria-valuetext", `frame ${frame} of ${this.frames}`);
    // Only a slow request shows a message.
    const slow = window.setTimeout(() => this.picture.say(`Waits for frame ${frame}.`, true), 700);
    try {
      await showFrame(this.picture, this.source, { array, frame, stack, caption: `frame ${count(frame)} of ${stack}` }, giveUp.signal);
    } catch (error) {
      if (isAbort(error)) return;
      if (error instanceof Refused && error.later) {
        this.picture.say(`Waits for frame ${frame}: ${sentence(error)}.`, true);
        this.asked = "";
        this.want(RETRY_MS);
      } else {
        this.picture.say(capital(sentence(error)));
      }
    } finally {
      clearTimeout(slow);
    }
  }
}

/** A frame of a stack, or, without `frame`, an array (h, w). */
interface Wanted {
  readonly array: ArrayInfo;
  readonly frame?: number;
  readonly stack: Stack;
  readonly caption: string;
}

/** Fetches and shows a frame: every k-th pixel if the frame is larger than the picture. */
async function showFrame(picture: Picture, source: Source, { array, frame, stack, caption }: Wanted, signal?: AbortSignal): Promise<void> {
  const [height = 1, width = 1] = array.shape.slice(-2);
  const edge = source.recorded ? EDGE_IN_REPORT : EDGE;
  const stride = Math.max(1, Math.ceil(Math.max(height, width) / edge));
  const every = `::${stride},::${stride}`;
  const [sel, whole] = frame === undefined ? [every, ""] : [`${frame},${every}`, `sel=${frame}&`];
  const npy = readNpy(await source.get(`slice/${array.name}?sel=${sel}&format=npy`, "person", signal));
  picture.show({
    values: magnitudes(npy),
    rows: npy.shape[0]!,
    columns: npy.shape[1]!,
    stride,
    shape: [height, width],
    stack,
    caption,
    file: frame === undefined ? array.name : `${array.name}_${frame}`,
    npy: `slice/${array.name}?${whole}format=npy`,
  });
}

function capital(text: string): string {
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}

