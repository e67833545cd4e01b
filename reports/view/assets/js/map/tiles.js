// Tiles under the map: only where the user has set an address, and only then is anybody asked.

const SIZE = 256, MOST = 48, KEPT = 256;
const RAD = Math.PI / 180;

export class Tiles {
  /** `style`: an address with {z}, {x} and {y}, or of a style (JSON) with raster tiles. */
  constructor(style, changed) {
    this.changed = changed;
    this.kept = new Map();
    this.template = "";
    this.problem = "";
    this.credit = "";
    this._begin(style);
  }

  async _begin(style) {
    try {
      if (/\{z\}/.test(style)) this.template = style;
      else await this._read(style);
    } catch (error) {
      this.problem = `The map style cannot be used: ${error.message}`;
    }
    this.changed();
  }

  async _read(style) {
    const answer = await fetch(style);
    if (!answer.ok) throw new Error(`${style} answered ${answer.status}`);
    const { sources } = await answer.json();
    const raster = Object.values(sources ?? {}).find((one) => one.type === "raster" && one.tiles?.length);
    if (!raster) throw new Error("expected raster tiles in it, found none");
    this.template = raster.tiles[0];
    this.credit = (raster.attribution ?? "").replace(/<[^>]*>/g, "");
  }

  draw(g, sight, plane) {
    if (!this.template) return;
    const metresAPixel = 1 / sight.scale;
    const world_m = 2 * Math.PI * 6378137 * Math.cos(plane.lat * RAD);
    const z = Math.min(19, Math.max(0, Math.round(Math.log2(world_m / (SIZE * metresAPixel)))));
    const n = 2 ** z;
    const column = (lon) => ((lon + 180) / 360) * n;
    const row = (lat) => ((1 - Math.asinh(Math.tan(lat * RAD)) / Math.PI) / 2) * n;
    const x0 = Math.floor(column(plane.lonOf(sight.xAt(0)))), x1 = Math.floor(column(plane.lonOf(sight.xAt(sight.w))));
    const y0 = Math.floor(row(plane.latOf(sight.yAt(0)))), y1 = Math.floor(row(plane.latOf(sight.yAt(sight.h))));
    if (!((x1 - x0 + 1) * (y1 - y0 + 1) <= MOST)) return;
    const lonOf = (x) => (x / n) * 360 - 180, latOf = (y) => Math.atan(Math.sinh(Math.PI * (1 - (2 * y) / n))) / RAD;
    for (let x = x0; x <= x1; x++) {
      for (let y = Math.max(0, y0); y <= Math.min(n - 1, y1); y++) {
        const image = this._tile(z, ((x % n) + n) % n, y);
        if (!image) continue;
        const X = sight.X(plane.x(lonOf(x))), X2 = sight.X(plane.x(lonOf(x + 1)));
        const Y = sight.Y(plane.y(latOf(y))), Y2 = sight.Y(plane.y(latOf(y + 1)));
        g.drawImage(image, X, Y, X2 - X, Y2 - Y);
      }
    }
  }

  _tile(z, x, y) {
    const key = `${z}/${x}/${y}`;
    let image = this.kept.get(key);
    if (!image) {
      image = new Image();
      image.onload = () => this.changed();
      image.onerror = () => { image.failed = true; this.problem = "Some tiles of the map do not come."; };
      image.src = this.template.replace("{z}", z).replace("{x}", x).replace("{y}", y).replace("{r}", "").replace("{s}", "a");
      this.kept.set(key, image);
      if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
    }
    return image.complete && image.naturalWidth ? image : null;
  }
}
