// Where a quote stands in a text, and how places in a text are marked: by ranges, so that the text stays as it is.

const IGNORED = /[\s\p{P}]/u;

function bare(text) {
  const places = [];
  let letters = "";
  for (let at = 0; at < text.length; at++) {
    if (IGNORED.test(text[at])) continue;
    letters += text[at];
    places.push(at);
  }
  return { letters, places };
}

/** [begin, end] of the quote, whatever the white space and punctuation; null where it does not stand. */
export function find(text, quote, from = 0) {
  const exact = text.indexOf(quote, from);
  if (exact >= 0 && quote) return [exact, exact + quote.length];
  const [whole, part] = [bare(text), bare(quote)];
  const first = whole.places.findIndex((place) => place >= from);
  const at = part.letters && first >= 0 ? whole.letters.indexOf(part.letters, first) : -1;
  return at < 0 ? null : [whole.places[at], whole.places[at + part.letters.length - 1] + 1];
}

const supported = typeof Highlight === "function" && CSS.highlights !== undefined;

/** Marks these places in text nodes, `[node, begin, end]` each, and no others of this name. */
export function mark(name, places) {
  if (!supported) return;
  const ranges = places.map(([node, begin, end]) => {
    const range = new Range();
    range.setStart(node, begin);
    range.setEnd(node, end);
    return range;
  });
  CSS.highlights.set(name, new Highlight(...ranges));
}
