/* What is found by `wanted`: a thread by its names, else the remarks in it that match. */
function found(thread, wanted, nameOf) {
  if (!wanted) return thread.remarks;
  const has = (text) => text.toLowerCase().includes(wanted);
  if (has(thread.name) || has(thread.project_id) || has(thread.topic)) return thread.remarks;
  return thread.remarks.filter((remark) =>
    [remark.text, remark.sender, remark.role, remark.type, nameOf(remark.sender)].some(has));
}

/* The time of day of an RFC 3339 text here; the text itself where it is none. */
function clock(text) {
  const moment = new Date(text);
  return Number.isNaN(moment.getTime()) ? text : moment.toLocaleTimeString();
}

if (typeof document !== "undefined") start();
else module.exports = { cut, element, found, spelled };

function start() {
  const closed = new Set();
  let now = null, names = new Map();
  const nameOf = (peer) => names.get(peer) || shortened(peer);

  function cell(text, kind) {
    const made = element("td", text || "–", kind);
    made.title = spelled(text || "");
    return made;
  }

  function agents() {
    const rows = now.agents.map((agent) => {
      const made = element("tr"), name = cell(agent.name || shortened(agent.peer), "text");
      name.title = spelled(agent.name) + " " + agent.peer;
      const away = now.taken_at - agent.last_seen;
      made.append(name, cell(agent.roles.join(", "), "text"),
        cell(agent.expertise.join(", "), "text"), cell(agent.status, "text"),
        cell(agent.capacity === null ? "" : compact(agent.tasks) + " of " + compact(agent.capacity)),
        cell(agent.is_me ? "this node" : duration(Math.max(0, away)) + " ago"));
      return made;
    });
    if (!rows.length) {
      const made = element("tr"), none = element("td", "none has said who it is", "empty");
      none.colSpan = 6;
      made.append(none);
      rows.push(made);
    }
    at("agents").replaceChildren(...rows);
    at("agents-note").textContent =
      now.agents_left_out ? "and " + now.agents_left_out + " more" : "";
  }

  function remark(each) {
    const line = element("li", undefined, each.is_own ? "own" : "");
    const when = element("time", clock(each.sent_at));
    when.dateTime = each.sent_at;
    when.title = spelled(each.sent_at) + (each.is_caught_up ? ", told later by another node" : "");
    const who = element("b", cut(nameOf(each.sender), 40));
    if (each.role) who.append(element("small", cut(each.role, 40)));
    who.title = spelled(nameOf(each.sender) + ", " + each.role) + " " + each.sender;
    const words = element("span", each.text);
    words.title = spelled(each.type);
    line.append(when, who, words);
    if (each.priority === "urgent" || each.priority === "high") {
      line.append(element("em", each.priority, "bad"));
    }
    return line;
  }

  function threads() {
    const wanted = at("filter").value.trim().toLowerCase(), shown = [];
    for (const thread of now.threads) {
      const remarks = found(thread, wanted, nameOf);
      if (!remarks.length) continue;
      const made = element("details", undefined, "thread"), title = element("summary");
      const left = thread.total - remarks.length;
      const facts = [cut(thread.project_id, 40), thread.name === thread.topic ? "" : thread.topic,
        thread.agents.length + (thread.agents.length === 1 ? " agent" : " agents"),
        left > 0 ? left + " more not shown" : ""].filter(Boolean);
      title.append(element("strong", thread.name), element("small", facts.join(" · ")));
      const list = element("ol");
      list.append(...remarks.map(remark));
      made.open = !closed.has(thread.name);
      made.addEventListener("toggle", () => {
        if (made.open) closed.delete(thread.name);
        else closed.add(thread.name);
      });
      made.append(title, list);
      shown.push(made);
    }
    if (!shown.length) {
      shown.push(element("p", wanted ? "nothing found" : "nothing was said yet", "empty"));
    }
    const focused = document.activeElement && document.activeElement.closest("details.thread");
    const index = focused ? [...at("threads").children].indexOf(focused) : -1;
    at("threads").replaceChildren(...shown);
    if (index >= 0 && shown[index] && shown[index].firstChild) shown[index].firstChild.focus();
    at("threads-note").textContent =
      now.threads_left_out ? "and " + now.threads_left_out + " that are older" : "";
  }

  function refused() {
    const list = element("dl");
    for (const [reason, count] of Object.entries(now.refused)) {
      list.append(element("dt", reason.replaceAll("_", " ")), element("dd", compact(count)));
    }
    if (!list.children.length) list.append(element("dt", "none"));
    at("refused").replaceChildren(...list.children);
  }

  at("filter").addEventListener("input", () => now && threads());
  watch("conversation.json", (found) => {
    now = found;
    names = new Map(now.agents.filter((each) => each.name).map((each) => [each.peer, each.name]));
    at("who").textContent = now.peer_id;
    agents();
    threads();
    refused();
  });
}
