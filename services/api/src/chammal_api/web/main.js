// The page: its address decides what is shown, and one stream of events keeps that up to date. Going from the list to a
// call is no new document, so that uploads go on.

import { key, onRefused } from "./api.js";
import { CallView } from "./call.js";
import { askForKey } from "./dialogs.js";
import { announce, fill } from "./dom.js";
import { follow } from "./events.js";
import { choose, language, onLanguage, t } from "./language.js";
import { ListView } from "./list.js";

const part = (id) => document.getElementById(id);
const list = new ListView(part("list"));
const place = { scroll: 0, search: "" };
let call = null;

function show() {
  const id = location.pathname.match(/^\/calls\/([^/]+)$/)?.[1];
  call?.end();
  call = null;
  part("list").hidden = Boolean(id);
  part("call").hidden = !id;
  if (id) {
    call = new CallView(part("call"), decodeURIComponent(id), () => go("/"));
    scrollTo(0, 0);
  } else {
    part("call").replaceChildren();
    list.open();
    scrollTo(0, place.scroll);
  }
}

function go(address) {
  if (!part("list").hidden) Object.assign(place, { scroll: scrollY, search: location.search });
  history.pushState(null, "", address === "/" ? `/${place.search}` : address);
  show();
  part("main").focus({ preventScroll: true });
}

addEventListener("popstate", show);
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='/']");
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || link.target || link.hasAttribute("download") || !/^\/(calls\/[^/]+)?$/.test(link.getAttribute("href"))) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
list.uploads.ondrop = () => { if (call) go("/"); };

function translate() {
  document.documentElement.lang = language();
  for (const node of document.querySelectorAll("[data-t]")) fill(node, t(node.dataset.t));
  for (const node of document.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const one of ["ko", "en"]) part(one).setAttribute("aria-pressed", String(language() === one));
  fill(part("connection"), t("connection.lost"));
}

for (const one of ["ko", "en"]) part(one).addEventListener("click", () => choose(one));
onLanguage(() => {
  translate();
  list.draw();
  call?.draw();
  if (!call) document.title = t("title.list");
});

function refresh() {
  if (call) call.load();
  else list.refresh();
}

const events = follow("/v1/calls/events", {
  changed(event) {
    list.told(event);
    call?.told(event);
  },
  joined() {
    const lost = !part("connection").hidden;
    part("connection").hidden = true;
    if (lost) announce(t("connection.back"));
    refresh();
  },
  lost() {
    part("connection").hidden = false;
  },
});

function askKey(detail) {
  part("key").hidden = false;
  askForKey(() => {
    events.restart();
    list.load();
    if (call) show();
  }, detail);
}

onRefused((error) => askKey(error.message));
part("key").addEventListener("click", () => askKey(null));
part("key").hidden = !key();
translate();
show();
