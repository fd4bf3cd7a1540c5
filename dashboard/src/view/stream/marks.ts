// The marks as text, newest first, for screen readers and for the clipboard.

import type { ServerMark } from "../../model/tasks.ts";
import { h, setAttribute, setText } from "../dom.ts";
import { moment, ofMark } from "./words.ts";

// Limit of the rows: a source with a thousand failures shows the latest failures.
const SHOWN = 300;

/** The log of retries, recoveries, losses and failures. */
export class MarkLog {
  private readonly summary = h("summary", {}, "Nothing happened besides the work");
  private readonly list = h("ol", { class: "log", reversed: true, testid: "stream-log" });
  private readonly copy = h("button", { type: "button", class: "button small", onclick: () => void this.copied() }, "Copy");
  readonly box = h("details", { class: "marks", testid: "stream-marks", hidden: true }, this.summary, this.copy, this.list);
  private shown = "";

  /** Shows all marks; the input is oldest first. */
  update(marks: readonly { mark: ServerMark; seconds: number }[]): void {
    this.box.hidden = marks.length === 0;
    const shown = `${marks.length} ${marks[0]?.seconds} ${marks.at(-1)?.seconds}`;
    if (shown === this.shown) return;
    this.shown = shown;
    const kinds = new Map<string, number>();
    for (const { mark } of marks) kinds.set(mark.kind, (kinds.get(mark.kind) ?? 0) + mark.count);
    setText(this.summary, `What happened: ${[...kinds].map(([kind, times]) => `${kind} ×${times}`).join(", ")}`);
    const newest = marks.slice(-SHOWN).reverse();
    this.list.replaceChildren(
      ...newest.map(({ mark, seconds }) => {
        const item = h("li", {}, h("time", {}, moment(seconds)), " ", ofMark(mark));
        setAttribute(item, "data-kind", mark.kind);
        return item;
      }),
    );
  }

  private async copied(): Promise<void> {
    const lines = [...this.list.children].map((item) => item.textContent ?? "");
    try {
      await navigator.clipboard.writeText(lines.join("\n"));
      setText(this.copy, "Copied");
    } catch {
      // A page without TLS cannot write to the clipboard; the user can still select the text.
      getSelection()?.selectAllChildren(this.list);
      setText(this.copy, "Selected: copy with Ctrl + C");
    }
  }
}
