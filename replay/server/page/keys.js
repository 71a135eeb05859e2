// The keyboard: what each key does wherever the page has the focus, but in fields that take the key themselves.

const QUARTER = 15 * 60;

/** Has `actions` done by key; see the page's help for which. */
export function listen(actions) {
  const plain = {
    " ": () => actions.toggle(),
    "+": () => actions.speed(1),
    "=": () => actions.speed(1),
    "-": () => actions.speed(-1),
    m: () => actions.nextMetric(),
    d: () => actions.nextMode(),
    b: () => actions.nextBar(),
    k: () => actions.nextKnown(),
    t: () => actions.nextTheme(),
    f: () => actions.flips(),
    h: () => actions.hold(),
    i: () => actions.zoom(0.8),
    o: () => actions.zoom(1.25),
    a: () => actions.allStrikes(),
    0: () => actions.aroundSpot(),
    PageUp: () => actions.pan(0.25),
    PageDown: () => actions.pan(-0.25),
    "?": () => actions.help(),
    ArrowLeft: () => actions.step(-1),
    ArrowRight: () => actions.step(1),
    Home: () => actions.ends(-1),
    End: () => actions.ends(1),
  };
  const slider = {
    ArrowUp: plain.ArrowRight,
    ArrowDown: plain.ArrowLeft,
    PageUp: () => actions.jump(QUARTER),
    PageDown: () => actions.jump(-QUARTER),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const { target, key } = event;
    if (takes(target, key)) return;
    let action = plain[key];
    if (target.id === "as-of") action = slider[key] ?? action;
    if (event.shiftKey && (key === "ArrowLeft" || key === "ArrowRight"))
      action = () => actions.jump(key === "ArrowLeft" ? -QUARTER : QUARTER);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/** Whether an element needs a key for itself. */
function takes(target, key) {
  if (!target.closest || target.id === "as-of") return false;
  if (target.matches("input[type=text], input[type=number], input[type=password], select, textarea")) return true;
  if (key === " ") return target.matches("button, summary, a, input:not([type=range])");
  const moves = key.startsWith("Arrow") || key.startsWith("Page") || key === "Home" || key === "End";
  return moves && (target.matches("input[type=range], input[type=radio]") || target.closest(".scroll") !== null);
}
