// Light and dark: which one holds, and the inks that canvases are drawn with in it.

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
const wantsDark = matchMedia("(prefers-color-scheme: dark)");

const LIGHT = {
  dark: false,
  page: "#ffffff",
  plain: "#e9ecf0",
  missing: [183, 190, 200],
  hatch: "#8b95a3",
  ink: "#1c2430",
  soft: "#56606e",
  line: "#c3cad3",
  spot: "#000000",
  edge: "#ffffff",
  halo: "rgba(255,255,255,0.65)",
  flip: "#000000",
  now: "#0b57d0",
  up: "rgb(33,102,172)",
  down: "rgb(179,88,6)",
  bought: "#4d7300",
  sold: "#d50000",
  levels: { M: "#7b1fa2", C: "#00695c", P: "#ad1457", F: "#37474f" },
};
const DARK = {
  dark: true,
  page: "#15181e",
  plain: "#0c0e12",
  missing: [88, 94, 104],
  hatch: "#667080",
  ink: "#e8ebf0",
  soft: "#a3adba",
  line: "#3a424e",
  spot: "#000000",
  edge: "#ffffff",
  halo: "rgba(12,14,18,0.65)",
  flip: "#ffffff",
  now: "#8ab4f8",
  up: "rgb(98,168,224)",
  down: "rgb(232,150,60)",
  bought: "#b8e02c",
  sold: "#ff5a4d",
  levels: { M: "#d9a4ea", C: "#5fd0b8", P: "#f48fb1", F: "#c2ccd6" },
};

/** Shows a choice of theme (`auto`, `light`, `dark`) and says whether it came out dark. */
export function applyTheme(choice) {
  document.documentElement.dataset.theme = choice;
  return choice === "dark" || (choice === "auto" && wantsDark.matches);
}

export function onThemeChange(told) {
  wantsDark.addEventListener("change", told);
}

export function inksOf(dark) {
  return dark ? DARK : LIGHT;
}

export function font(pixels, weight = 400) {
  return `${weight} ${pixels}px ${FONT}`;
}
