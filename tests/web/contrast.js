// Texts below the contrast of WCAG AA against what they stand on, as JSON.
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const channels = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((one, at) => (one * a + under[at] * (255 - a)) / 255);
  const behind = (node) => {
    const above = node.parentElement ? behind(node.parentElement) : [255, 255, 255];
    return over(channels(getComputedStyle(node).backgroundColor), above);
  };
  const light = (color) => {
    const [r, g, b] = color.map((one) => one / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const node of document.body.querySelectorAll("*")) {
    const own = [...node.childNodes].some((one) => one.nodeType === Node.TEXT_NODE && one.data.trim());
    if (!own || !node.checkVisibility() || node.closest(".unseen, .skip")) continue;
    const under = behind(node);
    const [one, other] = [light(over(channels(getComputedStyle(node).color), under)), light(under)];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) found.push([node.className, node.textContent.slice(0, 30), Number(contrast.toFixed(2))]);
  }
  return JSON.stringify(found);
})()
