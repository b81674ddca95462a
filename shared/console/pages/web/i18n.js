// Texts come from messages/<language>.json. The API words its own (reasons, faults of fields) in the language that is
// asked for. What it says in English all the same (help of fields) is looked up by its English text in
// catalogue.<language>.json, and shown as it is when that file does not know it.
const base = document.querySelector('meta[name="base"]').content;
const spoken = document.querySelector('meta[name="languages"]').content.split(" "); // as package wording lists them
// languages are those that the product speaks, each with its name in itself; the first one is that of the API.
export const languages = Object.fromEntries(
	spoken.map((l) => [l, new Intl.DisplayNames(l, { type: "language" }).of(l)]),
);
// further are the languages that the API's set-up texts are asked in beside English: a choice takes effect at once.
export const further = spoken.slice(1).join();

let messages = {};
let known = {};
export let language = "en";

const file = async (name) => (await fetch(`${base}messages/${name}.json`)).json();

export async function loadLanguage(name) {
	[messages, known] = await Promise.all([file(name), name === "en" ? {} : file(`catalogue.${name}`)]);
	language = name;
	document.documentElement.lang = name;
}

export async function chooseLanguage(name) {
	localStorage.setItem("language", name);
	await loadLanguage(name);
	dispatchEvent(new Event("language")); // what the API worded is read again
}

let chosen; // the zone that the person chose, undefined = the browser's

// readIn makes all times those of a zone, "" = the browser's.
export const readIn = (zone) => {
	chosen = zone || undefined;
};

const made = new Map();
// formatter makes each once, because making one is what takes long.
const formatter = (kind, options) => {
	const zoned = kind === "DateTimeFormat" ? { timeZone: chosen, ...options } : options;
	const key = `${language} ${kind} ${JSON.stringify(zoned)}`;
	if (!made.has(key)) made.set(key, new Intl[kind](language, zoned));
	return made.get(key);
};

// t is a message with its {places} filled in. A message with forms is chosen by the number in {n}.
export function t(key, values = {}) {
	let message = messages[key];
	if (message === undefined) return key;
	if (typeof message === "object") message = message[formatter("PluralRules").select(values.n)] ?? message.other;
	return message.replace(/\{(\w+)\}/g, (_, name) => {
		const v = values[name];
		return typeof v === "number" ? number(v) : (v ?? "");
	});
}

// words are the messages whose keys begin so.
export const words = (prefix) => Object.entries(messages).filter(([key]) => key.startsWith(prefix));

// said is a text of the API in the reader's language.
export const said = (text) => known[text] ?? text;

// langOf marks a text of the API that is in English on a page that is not: it is not worded, or not ours.
const own = { ja: /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u };
export const langOf = (text) =>
	language === "en" || !text || text in known || own[language].test(text) ? undefined : "en";

// languageOf is that of a sentence of ours that is sent: in Japanese none is without Hiragana, and names hardly have any.
export const languageOf = (text) => (/\p{Script=Hiragana}/u.test(text) ? "ja" : "en");

export const number = (n) => formatter("NumberFormat").format(n);
// A list has commas between; Japanese has its own in a conjunction only.
export const list = (items) =>
	formatter("ListFormat", { type: language === "ja" ? "conjunction" : "unit", style: "short" }).format(items);

// time is a date and a time of day; the year is told when it is not the present one.
export function time(iso, { seconds = false } = {}) {
	const at = new Date(iso);
	const year = formatter("DateTimeFormat", { year: "numeric" });
	return formatter("DateTimeFormat", {
		...(year.format(at) === year.format(new Date()) ? {} : { year: "numeric" }),
		month: "short",
		day: "numeric",
		hour: "2-digit",
		minute: "2-digit",
		...(seconds ? { second: "2-digit" } : {}),
	}).format(at);
}

// east is how far the reader's zone is ahead of UTC at a moment, in minutes.
function east(at) {
	if (!chosen) return -at.getTimezoneOffset();
	const parts = new Intl.DateTimeFormat("en", {
		timeZone: chosen,
		hourCycle: "h23",
		year: "numeric",
		month: "numeric",
		day: "numeric",
		hour: "numeric",
		minute: "numeric",
	}).formatToParts(at);
	const part = (type) => Number(parts.find((p) => p.type === type).value);
	const there = Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"));
	return there / 60_000 - Math.floor(Number(at) / 60_000);
}

// moment is that of a local time of the reader's zone. What names its own zone, or is a day, is what it says.
function moment(field) {
	if (!chosen || !/T[\d:.]+$/.test(field)) return new Date(field);
	const as = Date.parse(`${field}Z`);
	const near = as - east(new Date(as)) * 60_000;
	return new Date(as - east(new Date(near)) * 60_000);
}

// instant turns the local time of a date field into one that the API takes; local is the other way round, to the
// minute; zoned keeps the zone of who chose the time, for an address that others open.
export const instant = (field) => (field && !Number.isNaN(Date.parse(field)) ? moment(field).toISOString() : "");
export const zoned = (field) => {
	const at = moment(field);
	if (!field || Number.isNaN(Number(at))) return "";
	const minutes = east(at);
	const two = (n) => String(Math.trunc(n)).padStart(2, "0");
	const away = Math.abs(minutes);
	return `${field.slice(0, 16)}:00${minutes < 0 ? "-" : "+"}${two(away / 60)}:${two(away % 60)}`;
};
// zone names the reader's: "GMT+9".
export const zone = () =>
	formatter("DateTimeFormat", { timeZoneName: "short" })
		.formatToParts(new Date())
		.find((p) => p.type === "timeZoneName").value;
export const local = (date) =>
	Number.isNaN(Number(date)) ? "" : new Date(Number(date) + east(date) * 60_000).toISOString().slice(0, 16);

// zoneName is the reader's by its name: "Europe/Berlin".
export const zoneName = () => chosen || formatter("DateTimeFormat", {}).resolvedOptions().timeZone || "UTC";

// zones are the names that a zone can have.
export const zones = () => ["UTC", ...Intl.supportedValuesOf("timeZone").filter((z) => z !== "UTC")];

// timeOfDay is a time without its date where that is today's or comes within half a day: "07:00".
export function timeOfDay(iso) {
	const at = new Date(iso);
	if (Math.abs(at - Date.now()) > 43_200_000 && day(iso) !== day(Date.now())) return time(iso);
	return formatter("DateTimeFormat", { hour: "2-digit", minute: "2-digit" }).format(at);
}

export const day = (iso) => formatter("DateTimeFormat", { month: "short", day: "numeric" }).format(new Date(iso));

// dates is a range of days that are given as 2023-03-05, whatever the reader's own time zone.
export const dates = (from, to) =>
	formatter("DateTimeFormat", { year: "numeric", month: "short", day: "numeric", timeZone: "UTC" }).formatRange(
		new Date(from),
		new Date(to),
	);

// bytes: "12 kB".
export function bytes(n) {
	const as = (value, unit, digits) =>
		formatter("NumberFormat", {
			style: "unit",
			unit,
			unitDisplay: "short",
			maximumFractionDigits: digits,
		}).format(value);
	if (n < 1000) return as(n, "byte", 0);
	return n < 1_000_000 ? as(n / 1000, "kilobyte", 0) : as(n / 1_000_000, "megabyte", 1);
}

const steps = [
	["second", 60],
	["minute", 60],
	["hour", 24],
	["day", 30],
	["month", 12],
	["year", Infinity],
];

// ago is a time in relation to now: "3 minutes ago", "in 10 seconds".
export function ago(iso, now = Date.now()) {
	let n = (new Date(iso) - now) / 1000;
	for (const [unit, size] of steps) {
		if (Math.abs(n) < size) return formatter("RelativeTimeFormat", { numeric: "auto" }).format(Math.round(n), unit);
		n /= size;
	}
	return "";
}

// duration of milliseconds: "120 ms", "3 s", "10 min".
export function duration(ms) {
	const as = (n, unit, digits = 0) =>
		formatter("NumberFormat", {
			style: "unit",
			unit,
			unitDisplay: "short",
			maximumFractionDigits: digits,
		}).format(n);
	if (ms < 1000) return as(ms, "millisecond", ms < 10 ? 1 : 0);
	if (ms < 60_000) return as(ms / 1000, "second", ms < 10_000 ? 1 : 0);
	return as(ms / 60_000, "minute", ms < 600_000 ? 1 : 0);
}

const spans = [
	["day", 86_400],
	["hour", 3_600],
	["minute", 60],
	["second", 1],
];

// span is a number of seconds as a person sets it: "15 minutes".
export function span(seconds) {
	const [unit, size] = spans.find(([, s]) => seconds >= s && seconds % s === 0) || spans.at(-1);
	return formatter("NumberFormat", { style: "unit", unit, unitDisplay: "long" }).format(seconds / size);
}
