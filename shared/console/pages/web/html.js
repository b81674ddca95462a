// The one place that knows the libraries: everything else imports from here. htm leaves out spaces that hold a line
// break: a space that is to be seen there is written ${" "}.
import { h, render, Fragment } from "./lib/preact.js";
import htm from "./lib/htm.js";

export { useState, useEffect, useRef, useMemo, useCallback, useLayoutEffect, useId } from "./lib/hooks.js";
export { h, render, Fragment };

// What comes from outside is shown as what it is: characters that turn the direction of writing (\u202e), that nobody
// sees, or that control a terminal are left out of what is read, and are told by their numbers in code, where every
// character counts. It is done here, for every text of every view. Joiners stay: emoji and some scripts are written
// with them.
const unseen = new RegExp(
	[
		"[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b\\u200e\\u200f",
		"\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\u{e0000}-\\u{e0fff}]",
	].join(""),
	"gu",
);
const number = (c) =>
	c.codePointAt(0) > 0xffff
		? `\\u{${c.codePointAt(0).toString(16)}}`
		: `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`;
const coded = (c) => (c === "\r" ? c : number(c));
export const readable = (text) => (text.search(unseen) < 0 ? text : text.replace(unseen, ""));
export const exact = (text) => (text.search(unseen) < 0 ? text : text.replace(unseen, coded));

const cleaned = (child, clean) =>
	typeof child === "string" ? clean(child) : Array.isArray(child) ? child.map((c) => cleaned(c, clean)) : child;

// opens says whether an address is one that a link may open: this site's, or one of the web. javascript: never is.
function opens(address) {
	try {
		return ["https:", "http:", "blob:"].includes(new URL(address, location.href).protocol);
	} catch {
		return false;
	}
}

const read = ["title", "aria-label", "alt", "placeholder"];

// element is h for texts and addresses of strangers.
function element(type, props, ...children) {
	let own = props;
	if (props && typeof type === "string") {
		for (const name of read) if (typeof props[name] === "string") own = { ...own, [name]: readable(props[name]) };
		if (typeof props.href === "string" && !opens(props.href)) own = { ...own, href: undefined };
	}
	const clean = type === "pre" || type === "code" ? exact : readable;
	return h(type, own, ...children.map((c) => cleaned(c, clean)));
}

export const html = htm.bind(element);

// classes joins the names whose value is true.
export const classes = (names) =>
	Object.keys(names)
		.filter((n) => names[n])
		.join(" ");
