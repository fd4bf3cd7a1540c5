// Light or dark theme, from the system or from the button. Canvases read the colours of the style sheet here.

import { setText } from "./dom.ts";

const CHOICES = ["auto", "light", "dark"] as const;
const KEY = "arrayjob-theme";

const listeners: (() => void)[] = [];
const resolved = new Map<string, string>();
let probe: HTMLElement | null = null;

/** Connects the button, and restores the last choice. */
export function startTheme(button: HTMLElement): void {
  let choice = 0;
  const apply = (): void => {
    const name = CHOICES[choice]!;
    document.documentElement.dataset["theme"] = name;
    setText(button, `Theme: ${name}`);
    changed();
  };
  try {
    choice = Math.max(0, (CHOICES as readonly string[]).indexOf(localStorage.getItem(KEY) ?? "auto"));
  } catch {
    // A page from a file may have no storage; then the choice is lost with the page.
  }
  button.addEventListener("click", () => {
    choice = (choice + 1) % CHOICES.length;
    try {
      localStorage.setItem(KEY, CHOICES[choice]!);
    } catch {
      // A page from a file may have no storage.
    }
    apply();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  apply();
}

/** Calls the listener whenever the colours change. */
export function onTheme(listener: () => void): void {
  listeners.push(listener);
}

/** The colour of a variable of the style sheet (`--line`) as `rgb(…)`, for the current theme. */
export function colour(name: string): string {
  let value = resolved.get(name);
  if (value === undefined) {
    if (probe === null) {
      probe = document.createElement("span");
      probe.hidden = true;
      document.body.append(probe);
    }
    probe.style.color = `var(${name})`;
    value = getComputedStyle(probe).color;
    resolved.set(name, value);
  }
  return value;
}

/** The same colour as a 32-bit word of an ImageData: red in the lowest byte. */
export function colourWord(name: string): number {
  const [red = 0, green = 0, blue = 0] = (colour(name).match(/[\d.]+/g) ?? []).map(Number);
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** Whether the dark theme is active. */
export function isDark(): boolean {
  const [red = 255] = (colour("--panel").match(/[\d.]+/g) ?? []).map(Number);
  return red < 128;
}

function changed(): void {
  resolved.clear();
  for (const listener of listeners) listener();
}
