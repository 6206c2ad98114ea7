/* Per second between two snapshots; null where there is none before, or the host began anew. */
function rate(now, before, read) {
  if (!before || before.peer_id !== now.peer_id) return null;
  const seconds = now.measurements.uptime - before.measurements.uptime;
  if (!(seconds > 0)) return null;
  const first = read(before), last = read(now);
  return first === undefined || last === undefined || last < first ? null : (last - first) / seconds;
}

/* The value that so large a share of a distribution's new values does not exceed: the bound of its
   bucket, Infinity above the last, null where there were none. */
function quantile(now, before, share) {
  const counts = now.counts.map((count, index) => count - (before ? before.counts[index] : 0));
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (!(total > 0)) return null;
  let seen = 0;
  for (let index = 0; index < counts.length; index++) {
    seen += counts[index];
    if (seen >= share * total) return index < now.bounds.length ? now.bounds[index] : Infinity;
  }
  return Infinity;
}

function total(table) {
  return Object.values(table).reduce((sum, count) => sum + count, 0);
}

/* What a table says of a name that others chose: of "constructor" nothing, unless it is there. */
function entry(table, name) {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function peerBytes(snapshot, id, direction) {
  const peer = snapshot.peers.find((each) => each.info.peer === id);
  return peer && peer.connections.reduce((sum, each) => sum + each[direction], 0);
}

function matches(peer, wanted) {
  if (!wanted) return true;
  const info = peer.info;
  const texts = [info.peer, info.address, info.agent_version, ...info.topics];
  return texts.some((text) => text && text.toLowerCase().includes(wanted));
}

if (typeof document !== "undefined") start();
else module.exports = { compact, duration, rate, quantile, total, matches, entry, tokenOf };

function start() {
  const open = new Set();
  let before = null, now = null;

  function row(cells) {
    const made = element("tr");
    for (const cell of cells) made.append(cell instanceof Node ? cell : element("td", cell));
    return made;
  }

  function nothing(columns, text) {
    const cell = element("td", text, "empty");
    cell.colSpan = columns;
    return row([cell]);
  }

  function pair(list, name, text, kind) {
    const both = element("div");
    both.append(element("dt", name), element("dd", text, kind));
    list.append(both);
  }

  function perSecond(read) {
    return compact(rate(now, before, read));
  }

  function glance() {
    const list = element("dl"), measured = now.measurements, last = before && before.measurements;
    const statistics = measured.statistics;
    const late = quantile(measured.heartbeat_lateness, last && last.heartbeat_lateness, 0.99);
    const verdict = quantile(measured.validation, last && last.validation, 0.99);
    const upTo = (value) => value === null ? "–"
      : Number.isFinite(value) ? "≤ " + duration(value) : "long";
    pair(list, "peers", compact(total(measured.protocols)));
    pair(list, "connections", compact(statistics.connections));
    pair(list, "delivered/s", perSecond((s) => s.measurements.statistics.delivered));
    pair(list, "published/s", perSecond((s) => s.measurements.statistics.published));
    pair(list, "duplicates/s", perSecond((s) => s.measurements.statistics.duplicates));
    pair(list, "bytes in/s", perSecond((s) => s.measurements.bytes_in));
    pair(list, "bytes out/s", perSecond((s) => s.measurements.bytes_out));
    pair(list, "awaiting validation", compact(statistics.validation_waiting),
      statistics.validation_waiting > 128 ? "bad" : "");
    pair(list, "validated in", upTo(verdict), verdict > 0.5 ? "bad" : "");
    pair(list, "RPCs dropped", compact(statistics.rpc_dropped),
      statistics.rpc_dropped ? "bad" : "");
    pair(list, "heartbeat late by", upTo(late), late > 0.1 ? "bad" : "");
    pair(list, "up for", duration(measured.uptime));
    at("glance").replaceChildren(...list.children);
  }

  function topics() {
    const rows = now.topics.map((topic) => {
      const counts = entry(now.measurements.counts.topics, topic.name);
      const per = (field) => counts ? perSecond((s) => {
        const known = entry(s.measurements.counts.topics, topic.name);
        return known && known[field];
      }) : "–";
      const name = element("td", topic.name, "text");
      name.title = topic.name;
      const mesh = topic.mesh === null ? "not joined" : String(topic.mesh.length);
      const starved = topic.mesh !== null && topic.mesh.length === 0 && topic.peers > 0;
      const dropped = topic.subscriptions.reduce((sum, each) => sum + each.dropped, 0);
      const readers = topic.subscriptions.length + (dropped ? ", lost " + compact(dropped) : "");
      return row([name, compact(topic.peers), element("td", mesh, starved ? "bad" : ""),
        per("accepted"), per("duplicates"), per("published"),
        counts ? compact(total(counts.undelivered)) : "–",
        element("td", readers, dropped ? "bad" : "")]);
    });
    at("topics").replaceChildren(...(rows.length ? rows : [nothing(8, "none joined")]));
    at("topics-note").textContent = now.topics_left_out ? "and " + now.topics_left_out + " more" : "";
  }

  function why(peer) {
    const made = element("tr", undefined, "why"), cell = element("td"), lines = element("pre");
    const info = peer.info;
    const facts = ["speaks " + (info.pubsub_protocol || "no pubsub"),
      peer.direct ? "direct peer" : "", info.outbound ? "dialled by us" : "dialled us",
      "topics " + peer.topic_count + ": " + info.topics.join(", ")].filter(Boolean);
    lines.textContent = [...peer.score_explanation, ...facts].join("\n");
    cell.colSpan = 9;
    cell.append(lines);
    made.append(cell);
    return made;
  }

  function peers() {
    const wanted = at("filter").value.trim().toLowerCase(), rows = [];
    for (const peer of now.peers) {
      if (!matches(peer, wanted)) continue;
      const id = peer.info.peer, cell = element("td");
      const button = element("button", shortened(id), "why");
      button.type = "button";
      button.title = id;
      button.dataset.peer = id;
      button.setAttribute("aria-expanded", String(open.has(id)));
      cell.append(button);
      const score = peer.score === null ? "–" : compact(peer.score);
      const text = (value) => {
        const made = element("td", value || "–", "text");
        made.title = value || "";
        return made;
      };
      const waiting = peer.queue_rpcs + (peer.queue_dropped ? ", lost " + peer.queue_dropped : "");
      rows.push(row([cell, element("td", score, peer.score < 0 ? "bad" : ""),
        String(peer.meshes.length), perSecond((s) => peerBytes(s, id, "bytes_in")),
        perSecond((s) => peerBytes(s, id, "bytes_out")),
        element("td", waiting, peer.queue_dropped ? "bad" : ""), duration(peer.info.round_trip),
        text(peer.info.agent_version), text(peer.info.address)]));
      if (open.has(id)) rows.push(why(peer));
    }
    const focused = document.activeElement && document.activeElement.dataset.peer;
    at("peers").replaceChildren(...(rows.length ? rows : [nothing(9, "none")]));
    if (focused) {
      const again = [...at("peers").querySelectorAll("button")]
        .find((each) => each.dataset.peer === focused);
      if (again) again.focus();
    }
    at("peers-note").textContent =
      now.peers_left_out ? "and " + now.peers_left_out + " more, with better scores" : "";
  }

  function tables() {
    const made = Object.entries(now.measurements.limits).map(([name, limit]) => {
      const known = now.measurements.tables[name], label = element("label");
      const meter = element("meter");
      meter.max = limit;
      meter.value = known;
      meter.high = limit * 0.8;
      meter.optimum = 0;
      label.append(element("span", name.replaceAll("_", " ")),
        element("span", compact(known) + " of " + compact(limit)), meter);
      return label;
    });
    at("tables").replaceChildren(...made);
  }

  function drops() {
    const list = element("dl");
    for (const [reason, count] of Object.entries(now.measurements.statistics.rejections)) {
      list.append(element("dt", reason), element("dd", compact(count)));
    }
    if (!list.children.length) list.append(element("dt", "none"));
    at("drops").replaceChildren(...list.children);
  }

  function show() {
    document.title = now.peers.length + " peers · gossipsub";
    at("who").textContent = [now.peer_id, ...now.addresses].join("  ");
    at("config").textContent = JSON.stringify(
      { versions: now.versions, config: now.config, params: now.params }, null, 2);
    glance();
    topics();
    peers();
    tables();
    drops();
  }

  at("peers").addEventListener("click", (event) => {
    const id = event.target.dataset.peer;
    if (id === undefined) return;
    if (!open.delete(id)) open.add(id);
    peers();
  });
  at("filter").addEventListener("input", () => now && peers());
  watch("snapshot.json", (found) => {
    before = now;
    now = found;
    show();
  });
}
