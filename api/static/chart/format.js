// Figures and times as the page's language writes them. Figures arrive as exact decimal strings and stay that:
// floats only place pixels.

const THIN_SPACE = "\u202f";

export class Format {
  /** @param {Pick<ChartContent, "language" | "zone" | "register">} content */
  constructor({ language, zone, register }) {
    this.locale = language === "en" ? "en-GB" : language;
    this.zone = zone;
    this.mark = new Intl.NumberFormat(this.locale).formatToParts(1.5).find((part) => part.type === "decimal")?.value;
    this.unit = register.unit ? THIN_SPACE + register.unit : "";
    /** @type {Intl.DateTimeFormatOptions} */
    const day = { day: "numeric", month: "short", year: "numeric" };
    this.days = this.clock(day);
    this.moments = this.clock({ ...day, hour: "2-digit", minute: "2-digit" });
  }

  /** @param {Intl.DateTimeFormatOptions} options */
  clock(options) {
    return new Intl.DateTimeFormat(this.locale, { timeZone: this.zone, hourCycle: "h23", ...options });
  }

  /** @param {string} text */
  decimal(text) {
    const [whole, fraction] = text.replace("-", "\u2212").split(".");
    const apart = whole.replace(/\B(?=(\d{3})+(?!\d))/g, THIN_SPACE);
    return fraction === undefined ? apart : apart + this.mark + fraction;
  }

  /** @param {string} text */
  amount(text) {
    return this.decimal(text) + this.unit;
  }

  /** @param {number} seconds */
  moment(seconds) {
    return this.moments.format(seconds * 1000);
  }

  // Labels of the axis of time, by the distance of its splits.
  times() {
    const formats = {
      hour: this.clock({ hour: "2-digit", minute: "2-digit" }),
      day: this.clock({ day: "numeric", month: "short" }),
      month: this.clock({ month: "short" }),
      january: this.clock({ month: "short", year: "numeric" }),
      number: new Intl.DateTimeFormat("en", { timeZone: this.zone, month: "numeric" }),
      midnight: new Intl.DateTimeFormat("en", { timeZone: this.zone, hour: "numeric", minute: "2-digit", hourCycle: "h23" }),
    };
    /** @type {(plot: uPlot, splits: number[], axis: number, space: number, step: number) => string[]} */
    return (_plot, splits, _axis, _space, step) =>
      splits.map((seconds) => {
        const at = seconds * 1000;
        if (step >= 28 * 86400) return (formats.number.format(at) === "1" ? formats.january : formats.month).format(at);
        if (step >= 86400) return formats.day.format(at);
        return (/^0?0:00$/.test(formats.midnight.format(at)) ? formats.day : formats.hour).format(at);
      });
  }

  // Labels of the axis of values, with the digits that their distance needs.
  /** @param {number[]} splits */
  values(splits) {
    const step = splits.length > 1 ? Math.abs(splits[1] - splits[0]) : 1;
    const whole = (/** @type {number} */ places) => Math.abs(step * 10 ** places - Math.round(step * 10 ** places)) < 1e-6;
    const places = [0, 1, 2, 3, 4, 5].find(whole) ?? 6;
    return splits.map((value) => this.decimal(value.toFixed(places)));
  }
}

/** @param {string} text @param {Record<string, string | number>} values */
export function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (_whole, name) => String(values[name]));
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {string} [className]
 * @param {string} [text]
 */
export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// A colour of the style sheet, as it is in the chart: --hue is that of its medium.
/** @param {string} name */
export function token(name) {
  return getComputedStyle(document.getElementById("chart") ?? document.body).getPropertyValue(name).trim();
}

export function font(weight = 400) {
  return `${weight} ${12 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
}
