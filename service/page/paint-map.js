// Drawing of the map: points in the colours of their groups, and the names of the groups.

import { colour } from "./theme.js";

const RADIUS = 4.5;
const GOLDEN_ANGLE = 137.508;
const MOST_TIES = 40;
const MOST_NAMES = 80;
// Vertical offsets of a name from the middle of its group [px].
const RISES = [0, -17, 17];

/**
 * Paint a chart.
 * @param {HTMLCanvasElement} canvas after `fit`
 * @param {Chart} chart
 * @param {{groups: object[], selected: ?object}} what groups of `groupsOf`; one of the points
 */
export function paintMap(canvas, chart, { groups, selected }) {
  const context = canvas.getContext("2d");
  const ratio = canvas.width / chart.size.width;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, chart.size.width, chart.size.height);
  const hues = new Map(groups.map(({ name }, n) => [name, (n * GOLDEN_ANGLE) % 360]));
  for (const group of groups) paintTies(context, chart, group, hues);
  for (const point of chart.points) paintPoint(context, chart.place(point), fillOf(point, hues));
  const taken = [];
  for (const group of groups.slice(0, MOST_NAMES)) paintName(context, chart, group, taken);
  if (selected) paintSelected(context, chart.place(selected), fillOf(selected, hues));
}

function fillOf(point, hues) {
  if (point.group === null) return colour("soft");
  const [lightness, chroma] = colour("point").split(" ");
  return `oklch(${lightness} ${chroma} ${hues.get(String(point.group))})`;
}

/** Draw lines from the members of a small group to its middle. */
function paintTies(context, chart, group, hues) {
  if (group.members.length > MOST_TIES) return;
  const middle = chart.place(group);
  context.strokeStyle = fillOf(group.members[0], hues);
  context.globalAlpha = 0.45;
  context.lineWidth = 1;
  for (const point of group.members) {
    const { x, y } = chart.place(point);
    context.beginPath();
    context.moveTo(middle.x, middle.y);
    context.lineTo(x, y);
    context.stroke();
  }
  context.globalAlpha = 1;
}

function paintPoint(context, { x, y }, fill, radius = RADIUS) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = fill;
  context.fill();
}

function paintSelected(context, place, fill) {
  paintPoint(context, place, colour("ink"), RADIUS + 5);
  paintPoint(context, place, colour("card"), RADIUS + 3);
  paintPoint(context, place, fill, RADIUS + 1);
}

/** Draw the name where it hides the fewest members; never over the name of a larger group. */
function paintName(context, chart, group, taken) {
  context.font = `italic 15px ${colour("serif")}`;
  const half = context.measureText(group.name).width / 2 + 4;
  const members = group.members.map((member) => chart.place(member));
  const middle = chart.place(group);
  const boxes = RISES.map((rise) => boxAround({ x: middle.x, y: middle.y + rise }, half))
    .filter((box) => isInside(box, chart.size) && !taken.some((other) => overlaps(box, other)))
    .map((box) => ({ ...box, hidden: members.filter((place) => hides(box, place)).length }));
  if (boxes.length === 0) return;
  const box = boxes.reduce((best, other) => (other.hidden < best.hidden ? other : best));
  taken.push(box);
  const [x, y] = [middle.x, box.bottom - 5];
  context.textAlign = "center";
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeStyle = colour("card");
  context.strokeText(group.name, x, y);
  context.fillStyle = colour("ink");
  context.fillText(group.name, x, y);
}

const boxAround = ({ x, y }, half) => ({
  left: x - half,
  right: x + half,
  top: y - 10,
  bottom: y + 10,
});

const isInside = ({ left, right, top, bottom }, { width, height }) =>
  left >= 0 && right <= width && top >= 0 && bottom <= height;

const hides = ({ left, right, top, bottom }, { x, y }) =>
  x > left && x < right && y > top - RADIUS && y < bottom + RADIUS;

const overlaps = (a, b) =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
