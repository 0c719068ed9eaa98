// Points on a plane: fit to a canvas, pan and zoom, and find points by position or direction.

const MARGIN = 0.06;
export const MAX_ZOOM = 40;

/** Visible part of the plane, and the positions of its points on the screen. */
export class Chart {
  /** @param {{x: number, y: number}[]} points */
  constructor(points) {
    this.points = points;
    const [xs, ys] = [points.map((point) => point.x), points.map((point) => point.y)];
    this.box = {
      left: Math.min(...xs),
      right: Math.max(...xs),
      low: Math.min(...ys),
      high: Math.max(...ys),
    };
    this.size = { width: 1, height: 1 };
    this.all();
  }

  /** Show all points. */
  all() {
    this.zoom = 1;
    this.centre = { x: 0.5, y: 0.5 };
  }

  resize(width, height) {
    this.size = { width, height };
  }

  /** Return the position of a point [px]. Each axis is scaled to fill its side of the canvas. */
  place(point) {
    const { left, right, low, high } = this.box;
    const share = { x: within(point.x, left, right), y: 1 - within(point.y, low, high) };
    const fitted = (value) => MARGIN + (1 - 2 * MARGIN) * value;
    return {
      x: this.size.width * (0.5 + this.zoom * (fitted(share.x) - this.centre.x)),
      y: this.size.height * (0.5 + this.zoom * (fitted(share.y) - this.centre.y)),
    };
  }

  /** Pan by a distance on the screen [px]. */
  move(dx, dy) {
    this.#look(
      this.centre.x - dx / (this.zoom * this.size.width),
      this.centre.y - dy / (this.zoom * this.size.height),
    );
  }

  /** Zoom around a fixed position on the screen [px]. */
  enlarge(factor, at = { x: this.size.width / 2, y: this.size.height / 2 }) {
    const zoom = Math.min(MAX_ZOOM, Math.max(1, this.zoom * factor));
    const [x, y] = [at.x / this.size.width - 0.5, at.y / this.size.height - 0.5];
    const change = 1 / this.zoom - 1 / zoom;
    this.zoom = zoom;
    this.#look(this.centre.x + x * change, this.centre.y + y * change);
  }

  /** Pan to a point if it is not visible. */
  reveal(point) {
    const { x, y } = this.place(point);
    const { width, height } = this.size;
    if (x < 0 || x > width || y < 0 || y > height) this.move(width / 2 - x, height / 2 - y);
  }

  /** Return the point nearest to a position on the screen within a radius [px], or null. */
  nearest({ x, y }, radius) {
    let [best, least] = [null, radius * radius];
    for (const point of this.points) {
      const at = this.place(point);
      const distance = (at.x - x) ** 2 + (at.y - y) ** 2;
      if (distance <= least) [best, least] = [point, distance];
    }
    return best;
  }

  /** Return the nearest point within 45 degrees of a direction; distance to the side counts twice. */
  towards(from, [dx, dy]) {
    const start = this.place(from);
    let [best, least] = [null, Infinity];
    for (const point of this.points) {
      const at = this.place(point);
      const along = (at.x - start.x) * dx + (at.y - start.y) * dy;
      const aside = Math.abs((at.x - start.x) * dy - (at.y - start.y) * dx);
      if (point === from || along <= 0 || aside > along) continue;
      const cost = along + 2 * aside;
      if (cost < least) [best, least] = [point, cost];
    }
    return best;
  }

  #look(x, y) {
    const clamp = (value) => Math.min(1, Math.max(0, value));
    this.centre = { x: clamp(x), y: clamp(y) };
  }
}

const within = (value, from, to) => (to > from ? (value - from) / (to - from) : 0.5);

/** Return the groups of points, largest first: name, members, and the median of their positions. */
export function groupsOf(points) {
  const members = new Map();
  for (const point of points) {
    if (point.group === null) continue;
    if (!members.has(point.group)) members.set(point.group, []);
    members.get(point.group).push(point);
  }
  return [...members]
    .map(([name, members]) => ({
      name: String(name),
      members,
      x: median(members, "x"),
      y: median(members, "y"),
    }))
    .sort((a, b) => b.members.length - a.members.length || a.name.localeCompare(b.name));
}

function median(points, axis) {
  const values = points.map((point) => point[axis]).sort((a, b) => a - b);
  const middle = (values.length - 1) / 2;
  return (values[Math.floor(middle)] + values[Math.ceil(middle)]) / 2;
}
