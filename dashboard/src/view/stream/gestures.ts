// Pointers, fingers, wheel and keys over the drawing come in, what they want of it goes out.

/** A point of the drawing, CSS pixels. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** What can be wanted. */
export interface Wishes {
  /** Shows `factor` times as much, around `x` or around the middle. */
  zoom(factor: number, x?: number): void;
  /** Moves what shows by so many pixels to the left, and up. */
  move(left: number, up: number): void;
  /** Tells what is at a point while the pointer is there; null when it has left. */
  point(at: Point | null): void;
  /** Tells what is at a point until another is chosen; null for nothing. */
  pin(at: Point | null): void;
  /** Shows all. */
  fit(): void;
  /** Does what a key stands for; whether it stands for anything. */
  key(name: string): boolean;
}

// Less than this is a hand that shakes, not a drag.
const SHAKE = 4;
// Fingers closer than this are told apart too badly to zoom by.
const CLOSEST = 24;

/** Listens to everything that is done over `front`. */
export function listen(front: HTMLElement, wishes: Wishes): void {
  const pointers = new Map<number, Point>();
  let began: Point = { x: 0, y: 0 };
  let moved = 0;
  let drags = false;
  const place = (event: MouseEvent): Point => {
    const rect = front.getBoundingClientRect();
    return { x: event.clientX - rect.left, y: event.clientY - rect.top };
  };
  front.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    front.setPointerCapture(event.pointerId);
    if (pointers.size === 0) [began, moved, drags] = [place(event), 0, false];
    pointers.set(event.pointerId, place(event));
  });
  front.addEventListener("pointermove", (event) => {
    const now = place(event);
    const before = pointers.get(event.pointerId);
    if (before === undefined) return wishes.point(now);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, now);
    moved += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    // Up and down a finger scrolls lanes or the page, which the browser does by itself (touch-action in the style sheet) as soon as it knows.
    const touch = event.pointerType === "touch";
    drags ||= other !== undefined || (moved > SHAKE && (!touch || Math.abs(now.x - began.x) > Math.abs(now.y - began.y)));
    if (other !== undefined) {
      // Two fingers: what is between them stays between them.
      const apart = (point: Point): number => Math.max(CLOSEST, Math.hypot(point.x - other.x, point.y - other.y));
      wishes.move((before.x - now.x) / 2, 0);
      wishes.zoom(apart(before) / apart(now), (now.x + other.x) / 2);
    } else if (drags) {
      front.dataset["drags"] = "";
      wishes.move(before.x - now.x, touch ? 0 : before.y - now.y);
    }
  });
  const up = (event: PointerEvent): void => {
    if (!pointers.delete(event.pointerId)) return;
    delete front.dataset["drags"];
    if (pointers.size === 0 && moved <= SHAKE && event.type !== "pointercancel") wishes.pin(place(event));
  };
  front.addEventListener("pointerup", up);
  front.addEventListener("pointercancel", up);
  front.addEventListener("pointerleave", () => wishes.point(null));
  front.addEventListener("dblclick", () => {
    wishes.pin(null);
    wishes.fit();
  });
  // The page scrolls over a drawing that nobody has entered: only then the wheel is for scrolling.
  front.addEventListener(
    "wheel",
    (event) => {
      const entered = document.activeElement === front;
      if (!entered && !event.ctrlKey) return;
      event.preventDefault();
      const unit = event.deltaMode === 1 ? 16 : 1;
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) wishes.move((event.deltaX || event.deltaY) * unit, 0);
      else wishes.zoom(Math.exp(Math.max(-120, Math.min(120, event.deltaY * unit)) * (event.ctrlKey ? 0.006 : 0.003)), place(event).x);
    },
    { passive: false },
  );
  front.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (wishes.key(event.key)) event.preventDefault();
  });
}
