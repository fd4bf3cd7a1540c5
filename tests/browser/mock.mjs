// A simulated job: serves the built page, and simulates the responses of servers for some seconds of a job.
//
//   node mock.mjs [--port 8000] [--seconds 30] [--servers 4] [--tasks 1000000] [--fails] [--bare]

import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { ARRAYS, FRAMES, H, HEIGHT, NPY, W, WIDTH, noise, rawSums, recenteredSums, traceOf } from "./movie.mjs";

const DIST = fileURLToPath(new URL("../../dashboard/dist/", import.meta.url));
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";
const TYPES = { "index.html": "text/html; charset=utf-8", "app.js": "text/javascript; charset=utf-8", "app.css": "text/css; charset=utf-8" };

const BANDS = 48;
export const KINDS = ["load", "decode", "recenter", "gather", "transfer", "fft", "write"];
const LANES = ["compute 1", "compute 2", "fetch 1", "fetch 2", "fetch 3", "fetch 4", "transfer 1", "transfer 2", "serve 1", "write 1"];
// A restarted server starts its work in another order, and with one connection less.
const LANES_AGAIN = ["compute 1", "compute 2", "fetch 3", "fetch 2", "fetch 1", "transfer 1", "write 1", "serve 1"];

/** The schedule of one server's tasks, times in seconds. */
function schedule(server, servers, seconds) {
  const tasks = [];
  const free = LANES.map(() => 0);
  const add = (kind, lanes, from, took, item, bytes, flags = 0) => {
    const lane = lanes.reduce((best, lane) => (free[lane] < free[best] ? lane : best));
    const start = Math.max(from, free[lane]) + 1e-4;
    free[lane] = start + took;
    tasks.push({ start, duration: took, busy: took, count: 1, item, bytes, lane, kind: KINDS.indexOf(kind), flags });
    return start + took;
  };
  const share = Math.ceil(FRAMES / servers);
  const unit = seconds / 3;
  for (let of = 0; of < share; of++) {
    const frame = server * share + of;
    const begin = 0.05 * unit + (of * 1.6 * unit) / share;
    const took = (0.05 + 0.05 * noise(frame, 11)) * unit;
    const failed = noise(frame, 12) > 0.94;
    if (failed) add("load", [2, 3, 4, 5], begin, took / 2, frame, 0, 2);
    const loaded = add("load", [2, 3, 4, 5], begin, took, frame, HEIGHT * WIDTH);
    const decoded = add("decode", [0, 1], loaded, 0.012 * unit, frame, HEIGHT * WIDTH);
    add("recenter", [0, 1], decoded, 0.008 * unit, frame, H * W);
  }
  for (let band = 0; band < BANDS / servers; band++) {
    const item = (server * BANDS) / servers + band;
    const begin = 1.1 * unit + (band * 1.3 * unit * servers) / BANDS;
    add("gather", [8], begin, 0.02 * unit, item, 40_000);
    let pulled = 0;
    if (servers > 1) for (let peer = 1; peer < Math.min(servers, 5); peer++) pulled = add("transfer", [6, 7], begin + 0.01, (0.02 + 0.02 * noise(item, peer)) * unit, item, 60_000);
    add("fft", [0, 1], Math.max(pulled, begin), 0.06 * unit, item, 90_000);
  }
  add("write", [9], 2.75 * unit, 0.15 * unit, 0, 400_000);
  return tasks.sort((a, b) => a.start + a.duration - b.start - b.duration);
}

/** Many finished tasks, as records. */
function flood(server, count, seconds) {
  const records = Buffer.alloc(32 * count);
  const lanes = LANES.length;
  const perLane = Math.floor(count / lanes);
  let at = 0;
  for (let lane = 0; lane < lanes; lane++) {
    let us = 0;
    const mean = (seconds * 1e6) / perLane;
    for (let of = 0; of < (lane === lanes - 1 ? count - perLane * (lanes - 1) : perLane); of++, at++) {
      const part = us / (seconds * 1e6);
      const kind = lane < 2 ? (part > 0.6 ? 5 : of % 3 === 0 ? 2 : 1) : lane < 6 ? 0 : lane < 8 ? 4 : lane === 8 ? 3 : 6;
      const took = mean * (0.3 + 0.6 * noise(server, lane, of));
      records.writeDoubleLE(us, 32 * at);
      records.writeFloatLE(took, 32 * at + 8);
      records.writeFloatLE(took, 32 * at + 12);
      records.writeUInt32LE(1, 32 * at + 16);
      records.writeUInt32LE(of, 32 * at + 20);
      records.writeFloatLE(1e5, 32 * at + 24);
      records.writeUInt16LE(lane, 32 * at + 28);
      records.writeUInt8(kind, 32 * at + 30);
      us += mean;
    }
  }
  return records;
}

const framed = (header, body) => {
  const text = JSON.stringify(header);
  const bytes = Buffer.byteLength(text) + 1;
  return Buffer.concat([Buffer.from(text + " ".repeat((8 - (bytes % 8)) % 8) + "\n"), body]);
};
const floats = (values) => {
  const typed = Float32Array.from(values);
  return Buffer.from(typed.buffer);
};
const json = (status, value) => ({ status, type: "application/json", body: Buffer.from(JSON.stringify(value)) });
const refuse = (status, error, reason = "") => json(status, { error, reason });
const ok = (type, body) => ({ status: 200, type, body });

/**
 * Serves a job that begins at the first status request and takes `seconds`. Of more than two servers, one is lost and starts again.
 * `tasks`: number of finished tasks instead of the schedule; `fails`: the job fails; `bare`: the job keeps no frames and has no
 * reductions.
 */
export async function start({ port = 0, seconds = 3, servers = 4, tasks = 0, fails = false, bare = false } = {}) {
  const arrays = ARRAYS.filter(({ name }) => !bare || !/^(raw|recentered)$|_mean_/.test(name));
  const schedules = Array.from({ length: servers }, (_, server) => (tasks > 0 ? [] : schedule(server, servers, seconds)));
  const floods = tasks > 0 ? Array.from({ length: servers }, (_, server) => flood(server, Math.floor(tasks / servers), 600)) : [];
  const mock = { requests: [], locked: false, silent: false, url: "", close: () => {}, token: "0123456789abcdef0123456789abcdef" };
  let begun = 0;
  // Many tasks belong to a finished job of ten minutes.
  const whole = tasks > 0 ? 600 : seconds;
  const lost = servers > 2 && tasks === 0 ? { server: 2, from: 0.42 * seconds, to: 0.55 * seconds } : null;
  const now = () => {
    if (begun === 0) begun = Date.now() - (tasks > 0 ? 600_000 : 0);
    return Math.min((Date.now() - begun) / 1000, fails ? 0.6 * seconds : Infinity);
  };
  const isLost = (server, at) => lost !== null && server === lost.server && at >= lost.from && at < lost.to;
  // A restarted process has no job at first.
  const isIdle = (server, at) => isLost(server, at) && at >= lost.to - 0.02 * seconds;
  // A status shows the loss 0.3 s before the server stops responding, so that requests in flight succeed.
  const isSilent = (server, at) => isLost(server, at) && at >= lost.from + 0.3;
  const done = (at, from, to, total) => Math.floor(total * Math.min(1, Math.max(0, (at / whole - from) / (to - from))));
  const SPANS = { Load: [0.02, 0.62, FRAMES, HEIGHT * WIDTH], Recenter: [0.05, 0.65, FRAMES, H * W], Rechunk: [0.37, 0.86, BANDS, 240_000], Fft: [0.4, 0.9, BANDS, 450_000], Write: [0.92, 0.98, 6, 400_000] };
  const share = Math.ceil(FRAMES / servers);
  const phasesAt = (at, server = null) =>
    Object.entries(SPANS).map(([name, [from, to, all, bytes]]) => {
      const total = server === null ? all : all === FRAMES ? Math.max(0, Math.min(share, FRAMES - server * share)) : Math.floor(all / servers);
      const count = done(at, from, to, total);
      return {
        [server === null ? "name" : "phase"]: name,
        done: count,
        total,
        bytes: count * bytes,
        retries: name === "Load" ? Math.floor(count * 0.06) : 0,
        started_ms: count > 0 ? Math.round(begun + from * whole * 1000) : 0,
        ended_ms: count > 0 ? Math.round(begun + Math.min(to * whole, at) * 1000) : 0,
      };
    });
  const vitalsAt = (server, at) => {
    const busy = Math.min(at, whole);
    return { at_ms: Math.round(begun + at * 1000), cores: 2, cpu_ms: Math.round(busy * 1400 + 120 * Math.sin(3 * busy + server)), resident_bytes: Math.round(3e8 + (2e9 * busy) / whole), memory_limit_bytes: 4e9, received_bytes: Math.round(busy * 5e7), sent_bytes: Math.round(busy * 2e7) };
  };
  const stateAt = (at) => (fails && at >= 0.6 * seconds ? "Failed" : at < 0.62 * whole ? "Loading" : at < 0.9 * whole ? "Computing" : at < 0.98 * whole ? "Writing" : "Finished");

  const status = () => {
    const at = now();
    const over = at >= 0.98 * whole;
    return {
      job: "beating-cell",
      uid: "mock",
      generation: 1,
      state: stateAt(at),
      server: 0,
      servers,
      chunks: [FRAMES, 32, 32],
      arrays: arrays.map(({ at: _, ...rest }) => rest),
      phases: phasesAt(at),
      blank: at > 0.3 * whole ? [17, 101] : [],
      outputs: { written: over ? 2 : 0, total: 2 },
      failure: stateAt(at) === "Failed" ? { reason: "SourceUnavailable", message: "frame 131 cannot be fetched from http://images.example/131.png: 404 Not Found; check source.images.urlTemplate and count", server: 1 } : null,
      trouble: at > 0.2 * whole && at < 0.3 * whole ? { reason: "SourceUnavailable", message: "frame 41: the source answers 503, retried for the 3rd time", server: 1 } : null,
      fleet: Array.from({ length: servers }, (_, server) =>
        isIdle(server, at)
          ? { server, answers: true, progress: { boot: `boot-${server}-again`, assignment: null, phases: [] } }
          : isLost(server, at)
          ? { server, answers: false, progress: null }
          : { server, answers: true, progress: { boot: `boot-${server}`, assignment: ["mock", 1], phases: phasesAt(at, server), peak_rss_bytes: 2.4e9, vitals: { ...vitalsAt(server, at), waits: over ? [] : [["source"], ["peers"], [], ["memory", "store"]][(server + Math.floor(at)) % 4] } } },
      ),
      progress: {},
    };
  };

  const tasksOf = (server, query) => {
    const at = isLost(server, now()) ? lost.from : now();
    const epoch = begun * 1000;
    const header = { server, boot: `boot-${server}`, log: "first", next: 0, epoch_us: epoch, now_us: epoch + Math.round(at * 1e6), kinds: KINDS, lanes: LANES, finished: 0, running: 0, marks: [], vitals: [] };
    if (tasks > 0) {
      const known = query.get("log") === "first" ? Number(query.get("after")) : 0;
      const count = floods[server].length / 32;
      const marks = known > 0 ? [] : Array.from({ length: 40 }, (_, of) => ({ at_us: of * 1.5e7, kind: "retry", text: `frame ${of} answered 503`, count: 3 }));
      return ok("application/vnd.arrayjob.tasks", framed({ ...header, next: count, finished: count - known, marks }, floods[server].subarray(32 * known)));
    }
    if (isSilent(server, now())) return refuse(503, `server ${server} does not respond`);
    // A restarted server has another log, another clock and other lanes, as a restarted process has.
    const again = lost !== null && server === lost.server && at >= lost.to;
    const log = again ? "second" : "first";
    const began = again ? lost.to : 0;
    const lanes = again ? LANES_AGAIN : LANES;
    const known = query.get("log") === log ? Number(query.get("after") ?? 0) : 0;
    const all = schedules[server].filter((task) => !(again && task.start < lost.to) && task.start <= at);
    const finished = all.filter((task) => task.start + task.duration <= at);
    const fresh = finished.slice(known);
    const running = all.filter((task) => task.start + task.duration > at).map((task) => ({ ...task, duration: at - task.start, busy: at - task.start, flags: 1 }));
    const records = [...fresh, ...running];
    const body = Buffer.alloc(32 * records.length);
    records.forEach((task, of) => {
      const name = LANES[task.lane];
      body.writeDoubleLE((task.start - began) * 1e6, 32 * of);
      body.writeFloatLE(task.duration * 1e6, 32 * of + 8);
      body.writeFloatLE(task.busy * 1e6, 32 * of + 12);
      body.writeUInt32LE(task.count, 32 * of + 16);
      body.writeUInt32LE(task.item, 32 * of + 20);
      body.writeFloatLE(task.bytes, 32 * of + 24);
      body.writeUInt16LE(Math.max(lanes.indexOf(name), lanes.indexOf(name.replace(/\d+/, "1"))), 32 * of + 28);
      body.writeUInt8(task.kind, 32 * of + 30);
      body.writeUInt8(task.flags, 32 * of + 31);
    });
    const told = [
      ...schedules[server].filter((task) => task.flags === 2).map((task) => [task.start + task.duration, "retry", `frame ${task.item}: the source answered 503, retried`]),
      ...(lost !== null && server === 0 ? [[lost.from, "lost", `server ${lost.server} does not respond`], [lost.to, "recovered", `server ${lost.server} has its frames again`]] : []),
      ...(server === 1 ? [[0.3 * seconds, "blank", "frames 17 and 101 cannot be fetched and are zero"]] : []),
      ...(fails && server === 1 ? [[0.6 * seconds, "failure", "frame 131 cannot be fetched"]] : []),
    ].filter(([when]) => when <= at && when >= began);
    const marks = told.filter(([when]) => known === 0 || when > (fresh[0]?.start ?? Infinity)).map(([when, kind, text]) => ({ at_us: (when - began) * 1e6, kind, text, count: 1 }));
    const samples = Math.floor((Math.min(at, whole) - began) / 0.25);
    const vitals = known > 0 ? [] : Array.from({ length: Math.max(0, samples) }, (_, of) => vitalsAt(server, began + of * 0.25)).map((use, of) => [of * 0.25e6, use.cpu_ms, use.resident_bytes, use.received_bytes, use.sent_bytes]);
    return ok("application/vnd.arrayjob.tasks", framed({ ...header, boot: `boot-${server}${again ? "-again" : ""}`, log, lanes, epoch_us: epoch + Math.round(began * 1e6), next: finished.length, finished: fresh.length, running: running.length, marks, vitals }, body));
  };

  const preview = (name, edge) => {
    if (bare) return refuse(404, `there are no sums of ${name}: 'reduce' has no mean`);
    const [shape, sum, phase] = name === "raw" ? [[HEIGHT, WIDTH], rawSums, "Load"] : [[H, W], recenteredSums, "Recenter"];
    const frames = phasesAt(now()).find((of) => of.name === phase).done;
    const stride = Math.max(1, Math.ceil(Math.max(...shape) / edge));
    const shown = shape.map((size) => Math.ceil(size / stride));
    const total = sum(frames);
    const values = Array.from({ length: shown[0] * shown[1] }, (_, at) => total[Math.floor(at / shown[1]) * stride * shape[1] + (at % shown[1]) * stride] / frames);
    return ok("application/vnd.arrayjob.preview", framed({ array: name, frames, of: FRAMES, shape, stride, shown }, floats(values)));
  };

  const tracesSoFar = () => {
    const columns = ["raw_mean", "recentered_mean", "centroid_y", "centroid_x"];
    const known = phasesAt(now())[1].done;
    const values = columns.flatMap((column) => Array.from({ length: FRAMES }, (_, t) => (t < known ? traceOf(column, t) : NaN)));
    return ok("application/vnd.arrayjob.traces", framed({ frames: FRAMES, known, columns }, floats(values)));
  };

  const slice = (name, query) => {
    const of = arrays.find((item) => item.name === name);
    if (of === undefined) return refuse(404, `there is no array ${name}; there are ${arrays.map((item) => item.name).join(", ")}`);
    const at = now();
    const absent = (why) => (stateAt(at) === "Failed" ? refuse(409, "frame 131 cannot be fetched", "SourceUnavailable") : refuse(503, why));
    if (name.startsWith("power") && at < 0.9 * whole) return absent("not computed yet");
    if (/_frame|_trace/.test(name) && at < 0.65 * whole) return absent("not computed yet");
    const sel = (query.get("sel") ?? "").split(",").filter((part) => part !== "");
    const axes = of.shape.map((size, axis) => {
      const part = sel[axis] ?? ":";
      if (!part.includes(":")) return { index: [Number(part)], keep: false };
      const [from, to, step] = part.split(":").map((text) => (text === "" ? undefined : Number(text)));
      const index = [];
      for (let i = from ?? 0; i < Math.min(to ?? size, size); i += step ?? 1) index.push(i);
      return { index, keep: true };
    });
    if (axes.some(({ index }, axis) => index.some((i) => !(i >= 0 && i < of.shape[axis])))) return refuse(400, `sel=${query.get("sel")} is out of bounds of ${of.shape}`);
    if (of.shape.length === 3 && name !== "power") {
      const there = (frame) => frame % share < phasesAt(at, Math.floor(frame / share))[name === "raw" ? 0 : 1].done;
      const missing = axes[0].index.find((frame) => !there(frame));
      if (missing !== undefined) return absent(`frame ${missing} is not loaded yet`);
    }
    const shape = axes.filter(({ keep }) => keep).map(({ index }) => index.length);
    const values = [];
    const walk = (axis, place) => {
      if (axis === axes.length) return values.push(of.at(...place));
      for (const i of axes[axis].index) walk(axis + 1, [...place, i]);
    };
    walk(0, []);
    const [descr, Type] = NPY[of.dtype];
    const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
    const padded = header + " ".repeat(63 - ((header.length + 10) % 64)) + "\n";
    const head = Buffer.alloc(10);
    head.write("\x93NUMPY\x01\x00", "latin1");
    head.writeUInt16LE(padded.length, 8);
    return ok("application/x-npy", Buffer.concat([head, Buffer.from(padded, "latin1"), Buffer.from(Type.from(values).buffer)]));
  };

  const answer = (url) => {
    const { pathname, searchParams } = new URL(url, "http://mock/");
    const path = pathname.slice(1);
    const server = /^api\/v1\/servers\/(\d+)\/tasks$/.exec(path)?.[1];
    if (path === "api/v1/status") return json(200, status());
    if (server !== undefined) return tasksOf(Number(server), searchParams);
    if (path.startsWith("api/v1/preview/")) return preview(path.slice(15), Number(searchParams.get("edge") ?? 512));
    if (path === "api/v1/traces") return tracesSoFar();
    if (path.startsWith("slice/")) return slice(path.slice(6), searchParams);
    if (path === "arrays.zarr/") return ok("text/html; charset=utf-8", Buffer.from("<!doctype html><title>arrays</title>"));
    return { status: 404, type: "text/plain", body: Buffer.alloc(0) };
  };

  const report = () => {
    const middle = `${Math.floor(H / 2)},${Math.floor(W / 2)}`;
    const urls = [
      "api/v1/status",
      ...Array.from({ length: servers }, (_, server) => `api/v1/servers/${server}/tasks`),
      "api/v1/traces",
      "api/v1/preview/raw?edge=256",
      "api/v1/preview/recentered?edge=256",
      ...ARRAYS.filter(({ name }) => name.endsWith("_frame")).map(({ name, shape }) => {
        const k = Math.max(1, Math.ceil(Math.max(...shape) / 256));
        return `slice/${name}?sel=::${k},::${k}&format=npy`;
      }),
      ...ARRAYS.filter(({ name }) => /_trace$|^centroids$|^frequency$/.test(name)).map(({ name }) => `slice/${name}?format=npy`),
      `slice/recentered?sel=:,${middle}&format=npy`,
      `slice/power?sel=:,${middle}&format=npy`,
    ];
    const answers = Object.fromEntries(
      urls.map((url) => {
        const { type, body } = answer(url);
        return [url, type === "application/json" ? { type, body: body.toString() } : { type, base64: gzipSync(body).toString("base64"), gzip: true }];
      }),
    );
    // The escape of "<" in JSON prevents the end of the element by a text.
    const text = JSON.stringify({ made_ms: Date.now(), answers }).replaceAll("<", "\\u003c");
    const page = readFileSync(`${DIST}report.html`, "utf8");
    return page.replace("<!--recorded-->", () => `<script type="application/json" id="recorded">${text}</script>`);
  };

  const open = new Set();
  const http = createServer((request, response) => {
    const path = request.url.replace(new RegExp(`^/t/${mock.token}/`), "/");
    mock.requests.push({ path, at: Date.now() });
    const name = path === "/" || path.startsWith("/?") ? "index.html" : path.slice(1);
    const headers = { "content-security-policy": POLICY, "cache-control": "no-cache", "x-content-type-options": "nosniff" };
    if (name in TYPES) return response.writeHead(200, { ...headers, "content-type": TYPES[name] }).end(readFileSync(DIST + name));
    if (mock.locked) return response.writeHead(401, { "content-type": "application/json" }).end('{"error":"this server answers only with the run\'s token"}');
    if (name === "report") return response.writeHead(200, { "content-type": "text/html; charset=utf-8", "content-disposition": 'attachment; filename="beating-cell.html"' }).end(report());
    if (name === "api/v1/events") {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
      const send = () => mock.silent || response.write(`event: status\ndata: ${JSON.stringify(status())}\n\n`);
      send();
      let sent = 0;
      const timer = setInterval(() => (now() > whole + 1 && ++sent % 20 !== 0 ? null : send()), 250);
      open.add(response);
      response.on("close", () => (clearInterval(timer), open.delete(response)));
      return undefined;
    }
    const { status: code, type, body } = answer(`/${name}`);
    return response.writeHead(code, { "content-type": type, ...(code === 503 ? { "retry-after": "1" } : {}) }).end(body);
  });
  await new Promise((resolve) => http.listen(port, "127.0.0.1", resolve));
  mock.url = `http://127.0.0.1:${http.address().port}/`;
  mock.report = report;
  /** Ends all event streams, as the loss of a server does. */
  mock.drop = () => open.forEach((response) => response.destroy());
  mock.close = () => {
    mock.drop();
    http.close();
    http.closeAllConnections();
  };
  return mock;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = (name, otherwise) => {
    const at = process.argv.indexOf(`--${name}`);
    return at < 0 ? otherwise : Number(process.argv[at + 1]);
  };
  const mock = await start({ port: option("port", 8000), seconds: option("seconds", 30), servers: option("servers", 4), tasks: option("tasks", 0), fails: process.argv.includes("--fails"), bare: process.argv.includes("--bare") });
  console.log(mock.url);
}
