// The one place that knows the libraries: everything else imports from here.
import { h, render, Fragment } from "./lib/preact.js";
import htm from "./lib/htm.js";

export { useState, useEffect, useRef, useMemo, useCallback, useLayoutEffect, useId } from "./lib/hooks.js";
export { h, render, Fragment };
export const html = htm.bind(h);

// classes joins the names whose value is true.
export const classes = (names) => Object.keys(names).filter((n) => names[n]).join(" ");
