// The side profile: the newest bar's value at each strike, as bars beside the cells they belong to.

import { human } from "./scale.js";
import { font } from "./theme.js";

export function drawProfile(context, geometry, shown, signed, inks) {
  const { profile, heat, y, edges } = geometry;
  const width = shown.strikes.length;
  const newest = shown.values.subarray(shown.values.length - width);
  let most = 0;
  for (const value of newest) if (Math.abs(value) > most) most = Math.abs(value);
  const zero = signed ? (profile.left + profile.right) / 2 : profile.left;
  const reach = (profile.right - zero) / (most || 1);
  context.fillStyle = inks.plain;
  context.fillRect(profile.left, heat.top, profile.right - profile.left, heat.bottom - heat.top);
  for (let i = 0; i < width; i++) {
    const value = newest[i];
    const [top, bottom] = [y(edges[i + 1]), y(edges[i])];
    if (!value || bottom < heat.top || top > heat.bottom) continue;
    const inset = bottom - top > 3 ? 0.5 : 0;
    context.fillStyle = value > 0 ? inks.up : inks.down;
    context.fillRect(zero, top + inset, value * reach, Math.max(bottom - top - 2 * inset, 0.75));
  }
  context.fillStyle = inks.soft;
  context.fillRect(zero - 0.5, heat.top, 1, heat.bottom - heat.top);
}

/** What the profile is of, and how far it reaches; over and under it. */
export function drawProfileWords(context, geometry, shown, signed, inks) {
  const { profile, heat, narrow } = geometry;
  const width = shown.strikes.length;
  let most = 0;
  for (const value of shown.values.subarray(shown.values.length - width))
    if (Math.abs(value) > most) most = Math.abs(value);
  Object.assign(context, { font: font(11), fillStyle: inks.soft, textBaseline: "alphabetic", textAlign: "center" });
  const middle = (profile.left + profile.right) / 2;
  const what = shown.changes ? "newest change" : "newest bar";
  context.fillText(narrow ? "newest" : what, middle, heat.top - 7);
  context.textBaseline = "top";
  if (!most || profile.right - profile.left < 44) return;
  if (signed && profile.right - profile.left > 100) {
    context.textAlign = "left";
    context.fillText(human(-most, true), profile.left, heat.bottom + 7);
  }
  context.textAlign = "right";
  context.fillText(human(most, signed), profile.right, heat.bottom + 7);
}
