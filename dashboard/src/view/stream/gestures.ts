// Input: pointers, fingers, wheel and keys over the drawing. Output: calls of zoom, move, point and the other requests.

/** A point of the drawing, in CSS pixels. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** The requests of the user. */
export interface Wishes {
  /** Multiplies the visible interval by `factor`, around `x` or around the middle. */
  zoom(factor: number, x?: number): void;
  /** Moves the visible part by `left` and `up` pixels. */
  move(left: number, up: number): void;
  /** Describes the item at a point under the pointer; null after the pointer has left. */
  point(at: Point | null): void;
  /** Describes the item at a point until the next selection; null clears the selection. */
  pin(at: Point | null): void;
  /** Shows the whole run. */
  fit(): void;
  /** Performs the action of a key; returns whether the key has an action. */
  key(name: string): boolean;
}

// A shorter movement, in pixels, is a tremor of the hand, not a drag.
const SHAKE = 4;
// Fingers closer than this, in pixels, are too inaccurate for a zoom.
const CLOSEST = 24;

/** Listens to all input events of `front`. */
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
    // A vertical movement of a finger scrolls the lanes or the page; the browser does this itself (touch-action in the style sheet).
    const touch = event.pointerType === "touch";
    drags ||= other !== undefined || (moved > SHAKE && (!touch || Math.abs(now.x - began.x) > Math.abs(now.y - began.y)));
    if (other !== undefined) {
      // Two fingers: the point of the run between the fingers stays between the fingers.
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
  // The wheel zooms if the drawing has the focus or Ctrl is down; else the wheel scrolls the page.
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
