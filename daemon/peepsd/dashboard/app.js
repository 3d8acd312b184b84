// The page: takes snapshots, shows what is wrong, who answered and who waits for what.
//
// Decides what is shown first. Refuses to know how anything is found: every answer is one of the
// daemon's own (GET /api/openapi.json). Text reaches the page by textContent alone: names come
// from strangers. The view is in the address (#snapshot=7&filter=lock), so it can be passed on.

const MAX_WAITS = 500;
const POLL_MS = 5000;
const at = (id) => document.getElementById(id);

// The token is given once, in the address (#token=…) or where the page asks for it; it is kept for
// this tab and taken out of sight.
const view = new URLSearchParams(location.hash.slice(1));
if (view.has("token")) {
  sessionStorage.setItem("token", view.get("token"));
  view.delete("token");
  history.replaceState(null, "", "#" + view);
}

class TokenNeeded extends Error {}

async function api(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const isText = /^[\x21-\x7e]*$/.test(token ?? ""); // anything else is no header, fetch says
  const response = isText ? await fetch(path, { ...options, headers }) : { status: 401, json: () => ({}) };
  const body = await response.json();
  if (response.status === 401) throw new TokenNeeded(token ? "this token is not the daemon's" : "this daemon asks for its token");
  if (!response.ok) throw new Error([body.error, body.hint].filter(Boolean).join(" — "));
  return body;
}

function element(tag, text, attributes = {}, ...children) {
  const made = document.createElement(tag);
  if (text !== null && text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const row = (...cells) =>
  element("tr", null, {}, ...cells.map((c) => (c instanceof Node ? element("td", null, {}, c) : element("td", c))));

function say(error) {
  at("error").hidden = !error;
  at("error").textContent = error ? error.message : "";
  const wasAsked = !at("ask-token").hidden;
  at("ask-token").hidden = !(error instanceof TokenNeeded);
  if (!wasAsked && !at("ask-token").hidden) at("token").focus();
}

// UTC, as `peeps snapshots` has it.
const clock = (ns) => new Date(ns / 1e6).toISOString().slice(11, 19);

function showSnapshots(snapshots) {
  at("snapshots").replaceChildren(
    ...snapshots.map((s) => {
      const link = element("a", `#${s.snapshot_id} `, { href: `#snapshot=${s.snapshot_id}` });
      if (String(s.snapshot_id) === view.get("snapshot")) link.setAttribute("aria-current", "true");
      link.append(element("small", `${clock(s.requested_at_ns)}  ${s.responded}/${s.requested}`));
      return element("li", null, {}, link);
    }),
  );
}

function showFindings(findings) {
  const cards = findings.map((f) =>
    element(
      "div", null, { class: `finding ${f.severity}` },
      element("h3", f.title),
      element("p", f.sentence),
      element("ul", null, {}, ...f.evidence.map((e) => element("li", e))),
      element("small", `confidence: ${f.confidence.level}`),
    ),
  );
  at("findings").replaceChildren(...(cards.length ? cards : [element("p", "Nothing.", { class: "quiet" })]));
}

function showProcesses(processes) {
  at("processes").replaceChildren(
    ...processes.map((p) =>
      row(p.proc_key, element("span", p.status, { class: `status-${p.status}` }), p.nodes, p.edges, p.error_text ?? ""),
    ),
  );
}

let waits = [];
function showWaits() {
  const wanted = (view.get("filter") ?? "").toLowerCase();
  const shown = waits.filter((w) =>
    [w.waiter, w.waiter_process, w.waiter_location, w.needs, w.needs_process].join(" ").toLowerCase().includes(wanted),
  );
  at("waits").replaceChildren(
    ...shown.slice(0, MAX_WAITS).map((w) =>
      row(
        w.waiter_process ?? "", `${w.waiter_kind ?? ""} ${w.waiter}`, element("code", w.waiter_location ?? ""),
        `${w.needs_kind ?? ""} ${w.needs}`, w.needs_process ?? w.missing_reason ?? "",
      ),
    ),
  );
  at("waits-more").textContent = shown.length > MAX_WAITS ? `${shown.length - MAX_WAITS} more: narrow the filter` : "";
}

// What the snapshot before shows as well is no passing moment. The rest stays, unconfirmed.
async function confirmedBy(id) {
  const { snapshots } = await api(`/api/snapshots?limit=20&before=${id}`);
  const whole = snapshots.find((s) => s.completed_at_ns && !s.interrupted);
  return whole ? `?keep=true&confirm_with=${whole.snapshot_id}` : "";
}

async function showSnapshot(id) {
  const base = `/api/snapshots/${id}`;
  const [snapshot, before, waiting] = await Promise.all([api(base), confirmedBy(id), api(`${base}/waits`)]);
  const check = await api(`${base}/check${before}`);
  if (view.get("snapshot") !== String(id)) return; // something else was chosen meanwhile
  document.title = `peeps #${id}`;
  showFindings(check.findings);
  showProcesses(snapshot.processes);
  waits = waiting.waits;
  showWaits();
}

async function refresh() {
  const [health, list] = await Promise.all([api("/health"), api("/api/snapshots?limit=100")]);
  at("status").textContent = `${health.connections} connected · peepsd ${health.version}`;
  if (!view.has("snapshot") && list.snapshots.length) await choose(list.snapshots[0].snapshot_id);
  showSnapshots(list.snapshots);
}

async function choose(id) {
  view.set("snapshot", id);
  history.replaceState(null, "", "#" + view);
  await showSnapshot(id);
}

// What somebody did wrong stays to be read: polling takes back no error but its own.
let failed = null;
const guarded = (act) => async (...args) => {
  try {
    await act(...args);
    if (act !== refresh || failed === refresh) say(null);
  } catch (error) {
    failed = act;
    say(error);
  }
};

const refreshed = guarded(refresh);

const jump = guarded(async () => {
  at("jump").disabled = true;
  try {
    const summary = await api("/api/jump-now", { method: "POST" });
    await choose(summary.snapshot_id);
    await refresh();
  } finally {
    at("jump").disabled = false;
  }
});

at("jump").addEventListener("click", jump);
at("ask-token").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", at("token").value.trim());
  at("token").value = "";
  failed = refresh; // whoever asked in vain, this tries again
  if (view.has("snapshot")) guarded(showSnapshot)(view.get("snapshot"));
  refreshed();
});
at("filter").addEventListener("input", (event) => {
  view.set("filter", event.target.value);
  history.replaceState(null, "", "#" + view);
  showWaits();
});
addEventListener("keydown", (event) => {
  if (event.key === "s" && !event.ctrlKey && !event.metaKey && event.target.tagName !== "INPUT") jump();
});
addEventListener("hashchange", guarded(async () => {
  const id = new URLSearchParams(location.hash.slice(1)).get("snapshot");
  if (id) await choose(id);
  await refresh();
}));

at("filter").value = view.get("filter") ?? "";
if (view.has("snapshot")) guarded(showSnapshot)(view.get("snapshot"));
refreshed();
setInterval(refreshed, POLL_MS);
