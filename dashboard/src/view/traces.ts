// The traces: the mean of each frame, and the position of its specimen.

import { digits, plural, sample } from "../model/format.ts";
import { Refused, sentence } from "../source/source.ts";
import type { Source } from "../source/source.ts";
import { readTraces } from "../wire/preview.ts";
import type { Traces } from "../wire/preview.ts";
import { isOver } from "../wire/status.ts";
import type { Status } from "../wire/status.ts";
import { Chart } from "./charts/chart.ts";
import type { Line } from "./charts/chart.ts";
import { Path, limits } from "./charts/path.ts";
import { h, setText, whenSeen } from "./dom.ts";

const EVERY_MS = 2000;
const INKS: Readonly<Record<string, string>> = { raw_mean: "--kind-load", recentered_mean: "--kind-recenter" };

/** The section for traces. */
export class TracesView {
  private readonly source: Source;
  private readonly note: HTMLElement;
  private readonly means = new Chart("Mean of each frame", "trace-means", 190);
  private readonly meansNote = h("p", { class: "note keys-of-lines" });
  private readonly centroids = new Chart("Centroid of each frame", "trace-centroids", 190);
  private readonly path = new Path(380);
  private readonly meansBox: HTMLElement;
  private readonly centroidsBox: HTMLElement;
  private readonly pathBox: HTMLElement;
  private status: Status | null = null;
  private seen = false;
  private busy = false;
  private settled = false;
  private nextMs = 0;

  constructor(root: HTMLElement, note: HTMLElement, source: Source) {
    this.source = source;
    this.note = note;
    this.meansBox = h("div", { hidden: true }, h("h3", {}, "Mean of each frame"), this.meansNote, this.means.box);
    this.centroidsBox = h("div", { hidden: true }, h("h3", {}, "Centroid over time"), key([["y", "--kind-transfer"], ["x", "--kind-load"]]), this.centroids.box);
    this.pathBox = h("div", { hidden: true }, h("h3", {}, "Path of the centroid"), h("p", { class: "note" }, "from dark (first frame) to bright (last)"), this.path.box);
    root.append(h("div", { class: "lines" }, this.meansBox, this.centroidsBox), this.pathBox);
    whenSeen(root, (seen) => {
      // A report needs no requests, and a user may print the report.
      this.seen = seen || source.recorded;
      this.refresh();
    });
    setInterval(() => this.refresh(), 500);
  }

  /** Shows a status. */
  update(status: Status): void {
    this.status = status;
    this.refresh();
  }

  private refresh(): void {
    const { status } = this;
    if (status === null || !this.seen || this.busy || this.settled || document.hidden || performance.now() < this.nextMs) return;
    this.busy = true;
    const last = isOver(status);
    this.source
      .get("api/v1/traces", "page")
      .then((body) => {
        const traces = readTraces(body);
        this.show(traces);
        this.settled = traces.known >= traces.frames || last;
      })
      .catch((error: unknown) => {
        this.settled = error instanceof Refused && !error.later;
        setText(this.note, sentence(error));
      })
      .finally(() => {
        this.busy = false;
        this.nextMs = performance.now() + EVERY_MS;
      });
  }

  private show(traces: Traces): void {
    const x = Float64Array.from({ length: traces.frames }, (_, at) => at);
    setText(this.note, traces.known < traces.frames ? `${plural(traces.known, "frame")} of ${traces.frames} known so far` : plural(traces.frames, "frame"));
    const lines: Line[] = ["raw_mean", "recentered_mean"].flatMap((name) => {
      const values = traces.columns.get(name);
      return values === undefined ? [] : [{ name: name.replace("_mean", ""), ink: INKS[name]!, values }];
    });
    this.meansBox.hidden = lines.length === 0;
    if (lines.length > 0) {
      const words = lines.map(({ name, values }) => `${name} from ${sample(round(limits(values)[0]))} to ${sample(round(limits(values)[1]))}`).join(", ");
      this.means.show({ x, xName: "frame", yName: "mean", lines }, words);
      this.meansNote.replaceChildren(...key(lines.map(({ name, ink }) => [name, ink])).childNodes);
    }
    const [cy, cx] = [traces.columns.get("centroid_y"), traces.columns.get("centroid_x")];
    this.centroidsBox.hidden = cy === undefined || cx === undefined;
    this.pathBox.hidden = this.centroidsBox.hidden;
    if (cy === undefined || cx === undefined) return;
    const [top, bottom] = limits(cy);
    const [left, right] = limits(cx);
    const words = top > bottom ? "nothing yet" : `the specimen moves by ${digits(bottom - top)} pixels in y and ${digits(right - left)} in x`;
    const [middleY, middleX] = [(top + bottom) / 2, (left + right) / 2];
    // Each coordinate is relative to its middle: one scale shows both movements at any distance of the two coordinates.
    this.centroids.show(
      {
        x,
        xName: "frame",
        yName: "pixels",
        lines: [
          { name: "y", ink: "--kind-transfer", values: cy.map((value) => value - middleY) },
          { name: "x", ink: "--kind-load", values: cx.map((value) => value - middleX) },
        ],
      },
      `${words}; y about ${digits(middleY)}, x about ${digits(middleX)}`,
    );
    this.path.show(cy, cx, words);
  }
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

/** A line that names the colour of each curve. */
function key(lines: readonly (readonly [string, string])[]): HTMLElement {
  return h(
    "p",
    { class: "note keys-of-lines" },
    ...lines.map(([name, ink]) => h("span", {}, h("span", { class: `swatch ${ink.slice(2)}`, "aria-hidden": "true" }), name)),
  );
}
