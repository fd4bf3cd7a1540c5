// The pixel panel. Input: a pixel. Output: its values over time, and its spectrum.

import { digits, sample, percent } from "../model/format.ts";
import { halfBins, strongest } from "../model/peak.ts";
import type { Peak } from "../model/peak.ts";
import { Refused, isAbort, sentence } from "../source/source.ts";
import type { Source } from "../source/source.ts";
import { magnitudes, readNpy } from "../wire/npy.ts";
import type { Elements } from "../wire/npy.ts";
import { arrayNamed, isDone, isOver, phaseNamed } from "../wire/status.ts";
import type { Status } from "../wire/status.ts";
import { Chart } from "./charts/chart.ts";
import { limits } from "./charts/path.ts";
import { h, setAttribute, setText, whenSeen } from "./dom.ts";
import { howFar, spectrumName } from "./pictures/cards.ts";
import type { PixelOf } from "./pictures/picture.ts";

const RETRY_MS = 2000;

/** One of the two requests for a pixel. */
interface Part {
  state: "waiting" | "asked" | "shown" | "refused";
  nextMs: number;
}

/** The panel beside the pictures. */
export class Pixel {
  private readonly source: Source;
  private readonly onPixel: (pixel: PixelOf) => void;
  private readonly y = this.coordinate("y");
  private readonly x = this.coordinate("x");
  private readonly of = h("select", { "aria-label": "Pixel of", testid: "pixel-of", onchange: () => this.typed() });
  private readonly series = new Chart("Time series", "series-chart", 180);
  private readonly seriesNote = h("p", { class: "note", role: "status", testid: "series-note" });
  private readonly spectrum = new Chart("Spectrum", "spectrum-chart", 210);
  private readonly spectrumNote = h("p", { class: "finding", role: "status", testid: "spectrum-note" });
  private readonly log = h("input", { type: "checkbox", testid: "spectrum-log", onchange: () => this.drawSpectrum() });
  private readonly unit = h(
    "select",
    { "aria-label": "Unit of frequency", testid: "spectrum-unit", onchange: () => this.drawSpectrum() },
    h("option", { value: "cycles" }, "cycles per run"),
    h("option", { value: "frequency" }, "cycles per frame"),
  );
  private readonly seriesFile = h("a", { class: "link", download: true, testid: "series-npy" }, ".npy");
  private readonly spectrumFile = h("a", { class: "link", download: true, testid: "spectrum-npy" }, ".npy");
  private readonly spectrumTitle = h("h4", {}, "Spectrum");
  private status: Status | null = null;
  private pixel: PixelOf | null = null;
  private parts: { series: Part; spectrum: Part } = fresh();
  private giveUp = new AbortController();
  private values: { of: string; bins: Elements; frames: number } | null = null;
  private seen = false;

  constructor(root: HTMLElement, source: Source, onPixel: (pixel: PixelOf) => void) {
    this.source = source;
    this.onPixel = onPixel;
    this.log.checked = true;
    root.append(
      h("div", { class: "head" }, h("h3", {}, "Pixel"), h("div", { class: "inputs" }, this.of, h("label", {}, "y ", this.y), h("label", {}, "x ", this.x))),
      h("div", { class: "head" }, h("h4", {}, "Time series"), this.seriesFile),
      this.seriesNote,
      this.series.box,
      h("div", { class: "head" }, this.spectrumTitle, h("div", { class: "inputs" }, this.unit, h("label", {}, this.log, " log"), this.spectrumFile)),
      this.spectrumNote,
      this.spectrum.box,
    );
    this.seriesFile.hidden = true;
    this.spectrumFile.hidden = true;
    whenSeen(root, (seen) => {
      this.seen = seen || source.recorded;
      this.refresh();
    });
    setInterval(() => this.refresh(), 500);
  }

  /** Shows a status. The default is the middle pixel, which reports contain. */
  update(status: Status): void {
    this.status = status;
    const stacks = (["recentered", "raw"] as const).filter((name) => arrayNamed(status, name) !== undefined);
    if (this.of.childElementCount !== stacks.length) this.of.replaceChildren(...stacks.map((name) => h("option", { value: name }, name)));
    const stack = stacks[0];
    if (this.pixel === null && stack !== undefined) {
      const [, height = 1, width = 1] = arrayNamed(status, stack)!.shape;
      this.onPixel({ stack, y: Math.floor(height / 2), x: Math.floor(width / 2) });
    }
    this.refresh();
  }

  /** Shows another pixel. */
  choose(pixel: PixelOf): void {
    this.pixel = pixel;
    this.giveUp.abort();
    this.giveUp = new AbortController();
    this.parts = fresh();
    this.values = null;
    this.of.value = pixel.stack;
    this.y.value = String(pixel.y);
    this.x.value = String(pixel.x);
    const array = this.status === null ? undefined : arrayNamed(this.status, pixel.stack);
    setAttribute(this.y, "max", String((array?.shape[1] ?? 1) - 1));
    setAttribute(this.x, "max", String((array?.shape[2] ?? 1) - 1));
    this.refresh();
  }

  private typed(): void {
    const array = this.status === null ? undefined : arrayNamed(this.status, this.of.value);
    if (array === undefined) return;
    const within = (input: HTMLInputElement, size: number): number => Math.min(Math.max(0, Math.round(Number(input.value))), size - 1);
    this.onPixel({ stack: array.name as PixelOf["stack"], y: within(this.y, array.shape[1] ?? 1), x: within(this.x, array.shape[2] ?? 1) });
  }

  private refresh(): void {
    if (!this.seen || this.status === null || this.pixel === null || document.hidden) return;
    const now = performance.now();
    if (this.parts.series.state === "waiting" && now >= this.parts.series.nextMs) this.getSeries(this.status, this.pixel);
    if (this.parts.spectrum.state === "waiting" && now >= this.parts.spectrum.nextMs) this.getSpectrum(this.status, this.pixel);
  }

  private getSeries(status: Status, { stack, y, x }: PixelOf): void {
    const phase = stack === "raw" ? "Load" : "Recenter";
    if (!isDone(status, phase) && phaseNamed(status, phase) !== undefined) {
      this.series.show(null, "nothing yet");
      return setText(this.seriesNote, isOver(status) ? `The job ended before all frames were there: ${howFar(status, phase)}.` : `Waits for all frames: ${howFar(status, phase)}.`);
    }
    const url = `slice/${stack}?sel=:,${y},${x}&format=npy`;
    this.get(this.parts.series, url, this.series, this.seriesNote, this.seriesFile, (values) => {
      const [low, high] = limits(values);
      let sum = 0;
      for (let at = 0; at < values.length; at++) sum += values[at]!;
      const words = `${values.length} frames, from ${sample(low)} to ${sample(high)}, mean ${sample(Number((sum / values.length).toPrecision(5)))}`;
      const x = Float64Array.from({ length: values.length }, (_, at) => at);
      this.series.show({ x, xName: "frame", yName: stack, lines: [{ name: stack, ink: "--accent", values }] }, words);
      setText(this.seriesNote, words);
    });
  }

  private getSpectrum(status: Status, { stack, y, x }: PixelOf): void {
    const name = spectrumName(status);
    const wait = (text: string): void => {
      this.spectrum.show(null, "nothing yet");
      setText(this.spectrumNote, text);
    };
    if (name === null) return wait("The job makes no spectra: fft in the manifest asks for them.");
    if (stack === "raw" && arrayNamed(status, "recentered") !== undefined) return wait("Spectra are of recentered pixels: choose one in a recentered picture.");
    if (!isDone(status, "Fft")) return wait(isOver(status) ? "The job ended before its spectra were whole." : `Waits for the FFT: ${howFar(status, "Fft")}.`);
    const frames = arrayNamed(status, name)!.shape[0] ?? 0;
    // The second half of the bins mirrors the first. A report contains the response to the request for all bins.
    const bins = this.source.recorded ? ":" : `:${halfBins(frames)}`;
    setText(this.spectrumTitle, name === "power" ? "Power spectrum" : name === "amplitude" ? "Amplitude spectrum" : "Spectrum (magnitude)");
    this.get(this.parts.spectrum, `slice/${name}?sel=${bins},${y},${x}&format=npy`, this.spectrum, this.spectrumNote, this.spectrumFile, (values) => {
      this.values = { of: name, bins: values.subarray(0, halfBins(frames)), frames };
      this.drawSpectrum();
    });
  }

  private get(part: Part, url: string, chart: Chart, note: HTMLElement, file: HTMLAnchorElement, show: (values: Elements) => void): void {
    part.state = "asked";
    setAttribute(file, "href", url);
    file.hidden = this.source.recorded;
    const { signal } = this.giveUp;
    const slow = window.setTimeout(() => setText(note, "Waits for the server …"), 500);
    this.source
      .get(url, "person", signal)
      .then((body) => {
        if (signal.aborted) return;
        part.state = "shown";
        show(magnitudes(readNpy(body)));
      })
      .catch((error: unknown) => {
        if (isAbort(error) || signal.aborted) return;
        const later = error instanceof Refused && error.later;
        part.state = later ? "waiting" : "refused";
        part.nextMs = performance.now() + RETRY_MS;
        chart.show(null, "nothing");
        file.hidden = true;
        setText(note, later ? `Waits: ${sentence(error)}.` : capital(sentence(error)));
      })
      .finally(() => clearTimeout(slow));
  }

  private drawSpectrum(): void {
    if (this.values === null) return;
    const { of, bins, frames } = this.values;
    const peak = strongest(bins);
    const cycles = this.unit.value === "cycles";
    const x = Float64Array.from({ length: bins.length }, (_, bin) => (cycles ? bin : bin / frames));
    const words = peak === null ? "nothing changes at this pixel" : described(peak, frames);
    this.spectrum.show(
      {
        x,
        xName: cycles ? "cycles per run" : "cycles per frame",
        yName: of,
        lines: [{ name: of, ink: "--kind-fft", values: bins }],
        log: this.log.checked,
        ignored: 1,
        marked: peak === null ? null : { at: peak.bin, label: cycles ? `${peak.bin} cycles` : digits(peak.bin / frames) },
      },
      words,
    );
    setText(this.spectrumNote, words);
    setAttribute(this.spectrumNote, "data-peak", peak === null ? null : String(peak.bin));
  }

  private coordinate(name: string): HTMLInputElement {
    return h("input", { type: "number", min: 0, value: 0, "aria-label": `Pixel ${name}`, testid: `pixel-${name}`, onchange: () => this.typed() });
  }
}

/** The text of the strongest peak. */
function described({ bin, share }: Peak, frames: number): string {
  return `strongest: ${bin} ${bin === 1 ? "cycle" : "cycles"} (one in ${digits(frames / bin)} frames), ${percent(share)} of all change`;
}

function fresh(): { series: Part; spectrum: Part } {
  return { series: { state: "waiting", nextMs: 0 }, spectrum: { state: "waiting", nextMs: 0 } };
}

function capital(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(whole) ? whole : `${whole}.`;
}
