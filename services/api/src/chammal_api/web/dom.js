// Everything shown is built here, and every text becomes a text node: nothing is ever read as markup.

export function h(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...present(children));
  return node;
}

function present(children) {
  return children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== "");
}

export function fill(node, ...children) {
  node.replaceChildren(...present(children));
  return node;
}

/** Puts the nodes in this order, and leaves alone those that stand right, so that the focus and the scroll stay. */
export function arrange(parent, nodes) {
  let at = parent.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

const OPERATED = "a, button, input, select, summary";
const sameAs = (node) => node.dataset.verdict ?? node.getAttribute("aria-label") ?? node.textContent;

/** Draws anew what is within `node`; the keyboard then is where it was, if that is there again. */
export function keepingFocus(node, draw) {
  const held = node.contains(document.activeElement) ? document.activeElement : null;
  draw();
  if (!held || held.isConnected) return;
  [...node.querySelectorAll(OPERATED)].find((one) => sameAs(one) === sameAs(held))?.focus({ preventScroll: true });
}

let clearing = 0;

/** Tells those who do not see the page. */
export function announce(text) {
  const region = document.getElementById("announcer");
  region.append(h("p", null, text));
  clearTimeout(clearing);
  clearing = setTimeout(() => region.replaceChildren(), 8000);
}

/** Seconds as 3:07 or 1:03:07. */
export function clock(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

export function debounce(work, milliseconds) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
}
