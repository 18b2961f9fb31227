// The page: its address decides what is shown, and one stream of events keeps that up to date. Going from the list to a
// call is no new document, so that uploads go on.

import { onRefused } from "./api.js";
import { CallView } from "./call.js";
import { announce } from "./dom.js";
import { follow } from "./events.js";
import { openFrame } from "./frame.js";
import { onLanguage, t } from "./language.js";
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

onLanguage(() => {
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

const askKey = openFrame(() => {
  events.restart();
  list.load();
  if (call) show();
});

onRefused((error) => askKey(error.message));
show();
