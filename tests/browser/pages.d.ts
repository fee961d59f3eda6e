// What the scripts of the pages are given: the content of charts as `api/pages` writes it, and the vendor's plot.

interface ChartMark { at: number; instant: string; value: string; kind: SignKind; title: string; reason: string; edited: boolean }
interface ChartFinding { id: number; title: string; reason: string; severity: string; from: number; to: number | null }
interface ChartEvent { kind: SignKind; at: number; title: string; reason: string; href: string | null }
// A mark, a finding or an event with its place on the axis of time.
interface Happening { kind: SignKind; at: number; title: string; reason: string; id?: number; from?: number; href?: string | null }
type SignKind =
  | "excluded" | "questionable" | "estimated" | "manual" | "noted"
  | "finding" | "swap" | "boundary" | "verification" | "gap";
type Bucket = "reading" | "hour" | "day" | "month" | "year";

interface ChartPoints {
  bucket: number[];
  at: number[];
  instant: string[];
  value: string[];
  consumption: (string | null)[];
  since: (number | null)[];
  gap: boolean[];
  kind: (SignKind | null)[];
  counted: (SignKind | null)[];
  missed: (string | null)[];
}

interface ChartContent {
  register: { obis: string; name: string; unit: string; counter: boolean };
  language: string;
  words: Record<string, string>;
  zone: string;
  bucket: Bucket;
  from: number;
  to: number;
  points: ChartPoints;
  marked: ChartMark[];
  more: boolean;
  findings: ChartFinding[];
  events: ChartEvent[];
}

interface TrendSeries { label: string; values: (number | null)[] }
interface TrendPane { title: string; unit: string; series: TrendSeries[] }
interface TrendContent {
  empty: boolean;
  at: number[];
  from: number;
  to: number;
  panes: TrendPane[];
  zone: string;
  locale: string;
  decimal: string;
  time: string;
}

interface PlotSeries {
  value?: (plot: uPlot, value: number | null) => string;
  points?: { filter?: (plot: uPlot, series: number) => number[]; [option: string]: unknown };
  [option: string]: unknown;
}

interface PlotOptions {
  width: number;
  height: number;
  tzDate?: (seconds: number) => Date;
  scales?: Record<string, { time?: boolean; range: (plot: uPlot, low: number | null, high: number | null) => number[] }>;
  axes?: {
    values: (plot: uPlot, splits: number[], axis: number, space: number, step: number) => string[];
    [option: string]: unknown;
  }[];
  series?: PlotSeries[];
  hooks?: Record<string, ((plot: uPlot) => void)[]>;
  [option: string]: unknown;
}

// uPlot, as far as the pages use it (api/static/vendor/uplot).
declare class uPlot {
  constructor(options: PlotOptions, data: (number | null)[][], place: HTMLElement);
  static tzDate(date: Date, zone: string): Date;
  static paths: { bars(options: object): unknown };
  root: HTMLElement;
  ctx: CanvasRenderingContext2D;
  bbox: { left: number; top: number; width: number; height: number };
  data: (number | null)[][];
  height: number;
  cursor: { idx?: number | null; left: number };
  select: { left: number; width: number };
  setSize(size: { width: number; height: number }): void;
  setCursor(place: { left: number; top: number }): void;
  setSelect(place: object, fire: boolean): void;
  valToPos(value: number, scale: string, canvas?: boolean): number;
  posToVal(place: number, scale: string): number;
  destroy(): void;
}
