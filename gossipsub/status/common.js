"use strict";
// What peers say of themselves reaches the page as text nodes alone, never as markup.

const REFRESH = 2000;

/* Numbers as people read them. */
function compact(number) {
  if (number === null || number === undefined || !Number.isFinite(number)) return "–";
  const size = Math.abs(number);
  if (size >= 1e9) return (number / 1e9).toFixed(1) + " G";
  if (size >= 1e6) return (number / 1e6).toFixed(1) + " M";
  if (size >= 1e4) return (number / 1e3).toFixed(1) + " k";
  return Number.isInteger(number) ? String(number) : number.toFixed(size < 10 ? 2 : 1);
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return (seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0) + " ms";
  if (seconds < 120) return seconds.toFixed(seconds < 10 ? 1 : 0) + " s";
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  if (hours < 48) return (hours ? hours + " h " : "") + (minutes % 60) + " min";
  return Math.floor(hours / 24) + " d " + (hours % 24) + " h";
}

/* The token behind the # of the page's address, as it stands where it is no escaped text. */
function tokenOf(hash) {
  const text = hash.replace(/^#token=/, "").replace(/^#.*/, "");
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function at(id) {
  return document.getElementById(id);
}

/* A text as it is spelled: what would turn the direction of writing around, and other controls
   but newlines and tabs, are shown as escapes. */
function spelled(text) {
  const hidden =
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
  return String(text).replace(hidden, (each) =>
    "\\u" + each.charCodeAt(0).toString(16).padStart(4, "0"));
}

/* At most so many characters, the last an ellipsis where there were more. */
function cut(text, most) {
  const characters = Array.from(text);
  return characters.length > most ? characters.slice(0, most - 1).join("") + "…" : text;
}

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = spelled(text);
  if (kind) made.className = kind;
  return made;
}

function shortened(peer) {
  return peer.length > 10 ? peer.slice(0, 2) + "*" + peer.slice(-6) : peer;
}

/* Fetches `path` again and again while the page is seen, and shows what is new. */
function watch(path, show) {
  let token = tokenOf(location.hash), shownAt = null, timer = null;

  function say(text, isBad) {
    at("state").textContent = text;
    at("state").className = isBad ? "bad" : "";
  }

  async function refresh() {
    clearTimeout(timer);
    timer = null;
    try {
      const headers = token ? { Authorization: "Bearer " + token } : {};
      const answer = await fetch(path, { headers, cache: "no-store" });
      at("ask").hidden = answer.status !== 401;
      if (!answer.ok) throw new Error((await answer.text()).trim() || String(answer.status));
      const found = await answer.json();
      if (found.taken_at !== shownAt) {
        shownAt = found.taken_at;
        document.querySelector("main").hidden = false;
        show(found);
      }
      say("as of " + new Date(found.taken_at * 1000).toLocaleTimeString());
    } catch (problem) {
      say(problem instanceof TypeError ? "the node is not reached" : problem.message, true);
    }
    if (!document.hidden) timer = setTimeout(refresh, REFRESH);
  }

  at("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    token = at("token").value;
    refresh();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && timer === null) refresh();
  });
  for (const link of document.querySelectorAll("nav a")) link.hash = location.hash;
  refresh();
}

