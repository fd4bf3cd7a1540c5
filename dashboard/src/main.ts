// Source → model → view: connects the responses of a server or a report to the views of the page.

import { TaskStore } from "./model/tasks.ts";
import { Live } from "./source/live.ts";
import { Recorded } from "./source/recorded.ts";
import type { Source } from "./source/source.ts";
import { isOver } from "./wire/status.ts";
import type { Status } from "./wire/status.ts";
import { TaskPoll } from "./source/poll.ts";
import { Arrays } from "./view/arrays.ts";
import { byId, wantsStillness } from "./view/dom.ts";
import { Header, startedMs } from "./view/header.ts";
import { Phases } from "./view/phases.ts";
import { Cards } from "./view/pictures/cards.ts";
import type { PixelOf } from "./view/pictures/picture.ts";
import { Pixel } from "./view/pixel.ts";
import { Servers } from "./view/servers.ts";
import { Stream } from "./view/stream/stream.ts";
import { startTheme } from "./view/theme.ts";
import { TracesView } from "./view/traces.ts";

const TOGETHER_MS = 60;
// Below this width the pixel panel is below the pictures: a selection would update a panel outside of the screen.
const ONE_COLUMN = "(max-width: 1100px)";

start();

function start(): void {
  const answers = document.getElementById("recorded");
  const source: Source = answers === null ? new Live() : new Recorded(answers.textContent ?? "{}");
  startTheme(byId("theme"));
  const header = new Header();
  const phases = new Phases(byId("phases"));
  const servers = new Servers(byId("servers"), byId("servers-sum"));
  const store = new TaskStore();
  const stream = new Stream(byId("stream"), byId("stream-sum"), store);
  const choose = (of: PixelOf): void => {
    pixel.choose(of);
    cards.mark(of);
  };
  const cards = new Cards(byId("cards"), source, (of) => {
    choose(of);
    if (matchMedia(ONE_COLUMN).matches) byId("pixel").scrollIntoView({ block: "start", behavior: wantsStillness() ? "auto" : "smooth" });
  });
  const pixel = new Pixel(byId("pixel"), source, choose);
  const traces = new TracesView(byId("traces"), byId("traces-sum"), source);
  const arrays = new Arrays(byId("arrays"), byId("arrays-note"), source);
  let over = false;
  // Responses of many servers arrive together: one drawing shows all of them.
  let shown = 0;
  const streamLater = (): void => {
    if (shown === 0) {
      shown = window.setTimeout(() => {
        shown = 0;
        stream.update(over);
      }, TOGETHER_MS);
    }
  };
  const poll = new TaskPoll(source, store, (answer) => {
    if (answer.vitals.length > 0) servers.recall(answer);
    streamLater();
  });
  source.watch(
    (status: Status) => {
      const now = performance.now();
      over = isOver(status);
      document.documentElement.dataset["state"] = status.state;
      header.update(status);
      phases.update(status, now);
      servers.update(status, now);
      store.startAt(startedMs(status), `${status.uid} ${status.generation}`);
      poll.update(status);
      streamLater();
      cards.update(status);
      pixel.update(status);
      traces.update(status);
      arrays.update(status);
    },
    (connection) => header.connected(connection),
  );
}
