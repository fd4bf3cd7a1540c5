// The legend. Input: totals of each kind of task. Output: a row of buttons that hide and show the kinds.

import { bytes, count, percent, plural, span } from "../../model/format.ts";
import { KINDS } from "../../model/lane.ts";
import type { TaskStore } from "../../model/tasks.ts";
import { h, setAttribute, setText } from "../dom.ts";

interface Chip {
  readonly item: HTMLElement;
  readonly button: HTMLElement;
  readonly time: HTMLElement;
}

/** The legend of the task stream. */
export class Legend {
  readonly box = h("ul", { class: "legend", "aria-label": "Kinds of tasks", testid: "stream-legend" });
  /** Which kinds are visible, by number. */
  readonly shown = KINDS.map(() => true);
  private readonly chips: readonly Chip[];
  private readonly onChange: () => void;

  constructor(onChange: () => void) {
    this.onChange = onChange;
    this.chips = KINDS.map((kind, at) => this.chip(kind, at));
    this.box.append(...this.chips.map((chip) => chip.item));
  }

  /** Shows the totals of the store. */
  update(store: TaskStore): void {
    const totals = store.totals();
    const all = totals.reduce((sum, total) => sum + total.busy, 0);
    totals.forEach((total, kind) => {
      const chip = this.chips[kind]!;
      chip.item.hidden = total.count === 0 && !runs(store, kind);
      setText(chip.time, total.count > 0 ? `${span(total.busy)} · ${percent(all > 0 ? total.busy / all : 0)}` : "runs");
      const failed = total.failed > 0 ? `, ${count(total.failed)} failed and retried` : "";
      const lost = total.lost > 0 ? `, ${count(total.lost)} not finished when their server was lost` : "";
      setAttribute(chip.button, "title", `${plural(total.count, "task")}, ${bytes(total.bytes)}${failed}${lost}. Click to hide or show.`);
    });
  }

  private chip(kind: string, at: number): Chip {
    const time = h("span", { class: "note" });
    const button = h(
      "button",
      {
        type: "button",
        class: "chip",
        "aria-pressed": "true",
        testid: `legend-${kind}`,
        onclick: () => {
          this.shown[at] = this.shown[at] !== true;
          setAttribute(button, "aria-pressed", String(this.shown[at]));
          this.onChange();
        },
      },
      h("span", { class: `swatch kind-${kind}` }),
      `${kind} `,
      time,
    );
    return { item: h("li", { hidden: true }, button), button, time };
  }
}

function runs(store: TaskStore, kind: number): boolean {
  for (const server of store.servers.values()) if (server.running.some((task) => task.kind === kind)) return true;
  return false;
}
