// The table of readable arrays, with the commands that read them.

import { bytes } from "../model/format.ts";
import type { Source } from "../source/source.ts";
import type { ArrayInfo, Status } from "../wire/status.ts";
import { h, setText } from "./dom.ts";

const SIZES: Readonly<Record<string, number>> = { uint8: 1, uint16: 2, int32: 4, uint64: 8, float32: 4, float64: 8, complex64: 8 };
// A download above this size is probably a mistake, so the table has no download link.
const MOST_BYTES = 2e9;

/** The address for programs. The page's own path is valid with its cookie only. */
function forPrograms(address: string): string {
  return address.replace(/\/p\/[0-9a-f]+\//, "/t/TOKEN/");
}

/** The table of arrays. */
export class Arrays {
  private readonly root: HTMLElement;
  private readonly note: HTMLElement;
  private readonly source: Source;
  private shown = "";

  constructor(root: HTMLElement, note: HTMLElement, source: Source) {
    this.root = root;
    this.note = note;
    this.source = source;
  }

  /** Shows a status. */
  update(status: Status): void {
    const now = JSON.stringify(status.arrays);
    if (now === this.shown) return;
    this.shown = now;
    setText(this.note, `axes (t, y, x)${this.source.recorded ? "" : "; these lines need the job's token"}`);
    const head = h("tr", {}, ...["Name", "Shape", "Type", "Chunks", "Size", ...(this.source.recorded ? [] : ["Get"])].map((name) => h("th", { scope: "col" }, name)));
    this.root.replaceChildren(h("table", { class: "grid" }, h("thead", {}, head), h("tbody", {}, ...status.arrays.map((array) => this.row(array)))));
    const first = status.arrays.find((array) => array.shape.length === 3);
    if (this.source.recorded || first === undefined) return;
    const lines = [
      "import zarr",
      `${first.name} = zarr.open("${forPrograms(new URL("arrays.zarr/", document.baseURI).href)}${first.name}", mode="r")`,
      `print(${first.name}[:, ${Math.floor((first.shape[1] ?? 0) / 2)}, ${Math.floor((first.shape[2] ?? 0) / 2)}])`,
    ];
    const words = "In Python. Replace TOKEN by the job's token; the command that printed this page's address prints whole lines.";
    this.root.append(h("details", { class: "paste" }, h("summary", {}, "Lines to paste"), h("p", { class: "note" }, words), h("pre", { testid: "paste" }, lines.join("\n"))));
  }

  private row(array: ArrayInfo): HTMLElement {
    const size = array.shape.reduce((product, axis) => product * axis, SIZES[array.dtype] ?? 1);
    const cells = [array.shape.join(" × "), array.dtype, array.chunks.join(" × "), bytes(size)].map((text) => h("td", {}, text));
    const links = [
      ...(size <= MOST_BYTES ? [h("a", { class: "link", href: `slice/${array.name}?format=npy`, download: `${array.name}.npy` }, ".npy")] : []),
      h("a", { class: "link", href: `arrays.zarr/${array.name}/` }, "Zarr"),
    ];
    return h("tr", {}, h("th", { scope: "row" }, array.name), ...cells, ...(this.source.recorded ? [] : [h("td", {}, ...links)]));
  }
}
