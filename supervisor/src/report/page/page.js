"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const element = (tag, text, kind) => {
    const made = document.createElement(tag);
    if (text !== undefined && text !== null) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };

  const CUT = 200;
  const count = (n) => n.toLocaleString("en");
  const seconds = (s) => {
    if (s === 0) return "0";
    if (s < 0.001) return (s * 1e6).toFixed(0) + " µs";
    if (s < 1) return (s * 1000).toFixed(s < 0.01 ? 1 : 0) + " ms";
    if (s < 60) return s.toFixed(s < 10 ? 2 : 1) + " s";
    const m = Math.floor(s / 60);
    if (m < 60) return m + " min " + Math.floor(s % 60) + " s";
    return Math.floor(m / 60) + " h " + (m % 60) + " min";
  };
  const bytes = (n) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let at = 0;
    while (n >= 1024 && at < units.length - 1) { n /= 1024; at += 1; }
    return n.toFixed(at && n < 100 ? 1 : 0) + " " + units[at];
  };
  // Control characters and marks that change the direction of text are shown, not obeyed.
  const plain = (text) => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (c) => "\\u{" + c.codePointAt(0).toString(16) + "}");
  const valueOf = (text) => {
    const shown = plain(text);
    if (shown.length <= CUT) return element("span", shown);
    const cut = element("span", shown.slice(0, CUT) + "…", "cut");
    cut.title = "click to see all of it";
    cut.addEventListener("click", () => { cut.textContent = shown; cut.className = ""; });
    return cut;
  };

  // What happened, in words.
  const failed = data.failed + data.quarantined;
  const all = data.succeeded + failed;
  const result = byId("result");
  // What is left of tasks that are known; a run that was stopped may know no total.
  const totals = data.runs.map((run) => run.total);
  const total = totals.includes(null) ? null : Math.max(all, totals.reduce((sum, one) => sum + one, 0));
  const left = total === null ? 0 : total - all;
  const isOver = data.runs.every((run) => run.state === "finished");
  result.append(element("span", `${count(data.succeeded)} of ${count(total ?? all)} succeeded`, failed || left || !isOver ? "" : "good"));
  if (failed) result.append(", ", element("span", `${count(failed)} failed`, "bad"));
  if (left) result.append(`, ${count(left)} left`);
  if (!isOver && total === null) result.append(", more may be left");
  result.append(` ${isOver && !left ? "in" : "after"} ${seconds(data.seconds)}`);
  const about = byId("about");
  for (const run of data.runs) {
    about.append(element("code", "msup " + plain(run.command)), element("br"),
      `${run.state} · run ${run.id} · in ${plain(run.folder)} · began ${run.began}`, element("br"));
  }
  const notes = [];
  if (data.retried) notes.push(`${count(data.retried)} ${data.retried === 1 ? "attempt" : "attempts"} left a task to be run again`);
  if (data.underWay) notes.push(`${data.underWay} attempts were under way when this was written, or cut off`);
  if (notes.length) about.append(notes.join(" · "));
  document.title = `msup report: ${data.succeeded} of ${total ?? all} succeeded`;

  // CPU use, tasks in flight and the limit on one axis of time.
  const chart = () => {
    const { width, cpu, inFlight, limit } = data.series;
    const x = cpu.map((_, at) => (at + 0.5) * width);
    let known = null;
    const limits = limit.map((one) => (known = one ?? known));
    const series = [
      { label: "time", value: (_, v) => (v == null ? "" : seconds(v)) },
      { label: "in flight", stroke: color("flight"), width: 1.5 },
    ];
    const values = [x, inFlight];
    // What task loops use is not known by task.
    if (cpu.some((one) => one > 0)) {
      series.push({ label: "CPU use", stroke: color("cpu"), width: 1.5 });
      values.push(cpu);
    }
    if (limits.some((one) => one !== null)) {
      series.push({ label: "limit", stroke: color("limit"), width: 1, dash: [4, 3] });
      values.push(limits);
    }
    const axis = { stroke: color("weak"), grid: { stroke: color("rule"), width: 1 }, ticks: { stroke: color("rule"), width: 1 } };
    const place = byId("chart");
    place.replaceChildren();
    new uPlot({
      width: Math.max(280, place.clientWidth - 16), height: 240, series,
      scales: { x: { time: false } },
      axes: [{ ...axis, space: 90, values: (_, all) => all.map(seconds) }, { ...axis, size: 50 }],
    }, values, place);
  };

  // Tasks by slot; the wheel zooms, dragging moves.
  const line = byId("line");
  const tip = byId("tip");
  const view = { from: 0, to: Math.max(data.seconds, 1e-3) };
  const lanes = Math.max(1, data.timeline.lanes);
  const LANE = Math.max(4, Math.min(18, Math.floor(640 / lanes)));
  const drawLine = () => {
    const { spans, busy, buckets, width } = data.timeline;
    const scale = window.devicePixelRatio || 1;
    const wide = line.clientWidth;
    const high = lanes * LANE + 18;
    line.style.height = high + "px";
    line.width = wide * scale;
    line.height = high * scale;
    const at = line.getContext("2d");
    at.scale(scale, scale);
    const [good, bad] = [color("good"), color("bad")];
    const px = (t) => ((t - view.from) / (view.to - view.from)) * wide;
    const gap = LANE > 6 ? 1 : 0;
    if (spans) {
      for (const [lane, start, took, hasFailed] of spans) {
        const [a, b] = [px(start), px(start + took)];
        if (b < 0 || a > wide) continue;
        at.fillStyle = hasFailed ? bad : good;
        at.fillRect(a, lane * LANE, Math.max(1, b - a - (b - a > 3 ? 0.5 : 0)), LANE - gap);
      }
    } else {
      for (let lane = 0; lane < lanes; lane += 1) {
        for (let bucket = 0; bucket < buckets; bucket += 1) {
          const [share, lost] = busy[lane * buckets + bucket];
          if (!share) continue;
          const [a, b] = [px(bucket * width), px((bucket + 1) * width)];
          if (b < 0 || a > wide) continue;
          at.globalAlpha = 0.15 + 0.85 * share / 100;
          at.fillStyle = lost > share / 2 ? bad : good;
          at.fillRect(a, lane * LANE, Math.max(1, b - a), LANE - gap);
        }
      }
      at.globalAlpha = 1;
    }
    at.fillStyle = color("weak");
    at.font = "11px system-ui, sans-serif";
    for (let part = 0; part <= 4; part += 1) {
      const text = seconds(view.from + (view.to - view.from) * part / 4);
      const room = at.measureText(text).width;
      at.fillText(text, Math.min(Math.max(2, wide * part / 4 - room / 2), wide - room - 2), high - 5);
    }
  };
  const spanAt = (event) => {
    const box = line.getBoundingClientRect();
    const t = view.from + (event.clientX - box.left) / box.width * (view.to - view.from);
    const lane = Math.floor((event.clientY - box.top) / LANE);
    const near = 2 / box.width * (view.to - view.from);
    const { spans } = data.timeline;
    return spans && spans.find(([own, start, took]) => own === lane && t >= start - near && t <= start + took + near);
  };
  let dragged = null;
  line.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = line.getBoundingClientRect();
    const t = view.from + (event.clientX - box.left) / box.width * (view.to - view.from);
    const by = event.deltaY < 0 ? 0.8 : 1.25;
    view.from = Math.max(0, t - (t - view.from) * by);
    view.to = Math.min(Math.max(data.seconds, 1e-3), t + (view.to - t) * by);
    drawLine();
  }, { passive: false });
  line.addEventListener("pointerdown", (event) => { dragged = { x: event.clientX, from: view.from, to: view.to }; });
  window.addEventListener("pointerup", () => { dragged = null; });
  line.addEventListener("dblclick", () => { view.from = 0; view.to = Math.max(data.seconds, 1e-3); drawLine(); });
  line.addEventListener("pointermove", (event) => {
    if (dragged) {
      const moved = (dragged.x - event.clientX) / line.clientWidth * (dragged.to - dragged.from);
      const room = Math.max(data.seconds, 1e-3) - dragged.to;
      const by = Math.max(-dragged.from, Math.min(room, moved));
      view.from = dragged.from + by;
      view.to = dragged.to + by;
      drawLine();
      return;
    }
    const found = spanAt(event);
    tip.hidden = !found;
    if (!found) return;
    const [, start, took, hasFailed, seq, value] = found;
    tip.textContent = `${seq}: ${plain(value).slice(0, CUT)} — ${hasFailed ? "did not succeed" : "succeeded"}, ${seconds(took)} from ${seconds(start)} on`;
    tip.style.left = Math.min(event.pageX + 12, window.innerWidth - 300) + "px";
    tip.style.top = event.pageY + 14 + "px";
  });
  line.addEventListener("pointerleave", () => { tip.hidden = true; });
  byId("line-hint").textContent = data.timeline.spans
    ? "Each block is an attempt. The wheel zooms, dragging moves, a double click shows all."
    : `How busy each slot was${data.timeline.slots > lanes ? `; ${data.timeline.slots} slots are drawn as ${lanes}` : ""}. The wheel zooms, dragging moves.`;

  // Histograms with a logarithmic axis: successes, and failures on top.
  const histogram = (id, buckets, shown) => {
    const NS = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(NS, "svg");
    const [wide, high, foot] = [480, 160, 22];
    svg.setAttribute("viewBox", `0 0 ${wide} ${high}`);
    svg.setAttribute("role", "img");
    const most = Math.max(1, ...buckets.map(([, good, bad]) => good + bad));
    const step = wide / Math.max(8, buckets.length);
    const add = (tag, attributes, text) => {
      const made = document.createElementNS(NS, tag);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      if (text !== undefined) made.textContent = text;
      svg.append(made);
      return made;
    };
    buckets.forEach(([bound, good, bad], at) => {
      let y = high - foot;
      for (const [count, name] of [[good, "good"], [bad, "bad"]]) {
        if (!count) continue;
        const tall = Math.max(1.5, count / most * (high - foot - 16));
        y -= tall;
        const bar = add("rect", { x: at * step + 1, y, width: step - 2, height: tall, style: `fill: var(--${name})` });
        const title = document.createElementNS(NS, "title");
        title.textContent = `${count} ${name === "good" ? "succeeded" : "failed"}: from ${shown(bound)} to ${shown(bound * 10 ** 0.25)}`;
        bar.append(title);
      }
      const each = Math.ceil(buckets.length / 8);
      // A label that would not fit is left out.
      if (at % each === 0 && wide - at * step > 48) add("text", { x: at * step + 2, y: high - 6 }, shown(bound));
    });
    add("text", { x: 4, y: 12 }, `at most ${count(most)} in a bar`);
    byId(id).replaceChildren(svg);
  };

  // Tables.
  const table = (place, columns, rows, cell) => {
    const head = element("thead");
    const names = element("tr");
    const body = element("tbody");
    let order = null;
    const draw = () => {
      body.replaceChildren(...rows().map((row) => {
        const made = element("tr");
        columns.forEach((column, at) => made.append(cell(row, column, at)));
        return made;
      }));
    };
    columns.forEach((column, at) => {
      const name = element("th", column.name, column.isNumber ? "number" : "");
      name.addEventListener("click", () => {
        order = order && order.at === at ? { at, up: !order.up } : { at, up: !column.isNumber };
        const of = (row) => column.of(row) ?? "";
        const by = column.isNumber ? (a, b) => of(a) - of(b) : (a, b) => String(of(a)).localeCompare(String(of(b)));
        column.sort(order.up ? by : (a, b) => by(b, a));
        draw();
      });
      names.append(name);
    });
    head.append(names);
    place.replaceChildren(head, body);
    draw();
    return draw;
  };
  const cell = (row, column) => {
    const made = element("td", undefined, column.kind ?? (column.isNumber ? "number" : ""));
    const value = column.of(row);
    if (column.show) made.append(column.show(value, row));
    else if (value !== null && value !== undefined) made.append(String(value));
    return made;
  };

  const stages = data.stages.filter((stage) => stage.name);
  if (stages.length) {
    byId("stages-part").hidden = false;
    const sort = (by) => stages.sort(by);
    const column = (name, of, show) => ({ name, of, isNumber: name !== "stage", show, sort });
    table(byId("stages"), [
      column("stage", (s) => s.name), column("tasks", (s) => s.tasks), column("succeeded", (s) => s.succeeded),
      column("failed", (s) => s.failed + s.quarantined), column("mean", (s) => s.mean, seconds),
      column("longest", (s) => s.longest, seconds), column("CPU time", (s) => s.cpu, seconds),
    ], () => stages, cell);
  }

  if (data.failures.length) {
    byId("failures-part").hidden = false;
    byId("failures-head").textContent = data.failures.length < failed ? `The first ${data.failures.length} of ${failed} failures` : `Failures (${failed})`;
    let stage = null;
    for (const one of [...data.failures].sort((a, b) => String(a.stage ?? "").localeCompare(String(b.stage ?? "")))) {
      if (one.stage && one.stage !== stage) byId("failures").append(element("h3", one.stage));
      stage = one.stage;
      const made = element("details");
      const head = element("summary");
      const last = one.stderr.trimEnd().split("\n").pop();
      head.append(data.runs.length > 1 ? `${data.runs[one.run].name} ` : "", `${one.seq}: `, valueOf(one.value), " — ", element("span", plain(one.cause ?? one.state), "bad"),
        one.attempt > 1 ? ` (attempt ${one.attempt})` : "");
      if (last) head.append(" ", element("span", plain(last).slice(0, CUT), "weak"));
      made.append(head, element("pre", one.stderr ? plain(one.stderr) : "It wrote nothing to standard error, or that was not captured."));
      byId("failures").append(made);
    }
  }

  // Rows: number, value, state, attempt, start, seconds, CPU, memory, slot, cause, run.
  const runs = data.runs.length > 1 ? [{ name: "run", isNumber: false, of: (row) => data.runs[row[10]].name, sort: (by) => rows.sort(by) }] : [];
  const rows = data.tasks.rows;
  const sort = (by) => rows.sort(by);
  const column = (name, at, isNumber, show, kind) => ({ name, of: (row) => row[at], isNumber, show, kind, sort });
  let wanted = "";
  const SHOWN = 1000;
  const chosen = () => rows.filter((row) => !wanted || [row[1], row[2], row[9] ?? ""].some((text) => text.toLowerCase().includes(wanted))).slice(0, SHOWN);
  const redraw = table(byId("tasks"), [
    ...runs,
    column("task", 0, true), column("value", 1, false, valueOf, "value"),
    column("state", 2, false, (state, row) => element("span", plain(row[9] ?? state), state === "succeeded" ? "good" : "bad")),
    column("attempt", 3, true), column("start", 4, true, seconds), column("took", 5, true, seconds),
    column("CPU time", 6, true, seconds), column("memory", 7, true, (n) => (n ? bytes(n) : "")), column("slot", 8, true),
  ], chosen, cell);
  byId("search").addEventListener("input", (event) => { wanted = event.target.value.toLowerCase(); redraw(); });
  byId("tasks-head").textContent = data.tasks.all
    ? `Tasks (${count(data.tasks.count)})`
    : `The ${rows.length} slowest of ${count(data.tasks.count)} tasks; all of them: msup log ${data.runs[0].name}`;

  const draw = () => { chart(); drawLine(); };
  histogram("durations", data.durations, seconds);
  if (data.memory.length) histogram("memory", data.memory, bytes);
  else byId("memory-part").hidden = true;
  draw();
  let waits = null;
  window.addEventListener("resize", () => { clearTimeout(waits); waits = setTimeout(draw, 100); });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
