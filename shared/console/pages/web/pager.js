// A list that is read from its newest end: "Show more" lengthens it, new rows wait until they are asked for, and the
// browser's Back finds the rows and the place that were left. One request reads as many rows as the list shows, as far
// as its operation allows.
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { t, time } from "./i18n.js";
import { useLoad } from "./load.js";

const size = 50;
const longest = 2000; // rows of one list

// kept is how long the list of each entry of the history was, and where the page stood.
const kept = new Map();

// readAll reads up to `count` rows. A page can have few rows and go on: so often it is asked again, in one go.
async function readAll(page, { count, most, rounds }, signal) {
	const items = [];
	let next;
	let reached;
	let round = 0;
	do {
		const body = await page({ limit: Math.min(most, count - items.length), cursor: next }, signal);
		items.push(...body.items);
		[next, reached] = [body.next_cursor, body.reached];
		round++;
	} while (next && items.length < count && (round < rounds || (items.length > 0 && round * most < count)));
	return { items, more: Boolean(next), reached: next && items.length < count ? reached : undefined };
}

// usePager reads with page({limit, cursor}, signal). What changes the list is in `key`; `most` is how many rows one
// request may ask for; `rounds` how often a search is gone on with by itself.
export function usePager(key, page, { every = 0, most = 200, rounds = 1 } = {}) {
	const entry = useRef(history.state?.n).current;
	const left = useRef(kept.get(entry)).current;
	const fresh = { key, count: size, rounds, top: undefined };
	const [asked, ask] = useState(left?.key === key ? { ...fresh, count: left.count } : fresh);
	const now = asked.key === key ? asked : fresh;
	const held = useRef({ key: "", items: [] });
	const load = useLoad(
		JSON.stringify([key, now.count, now.rounds]),
		async (signal) => {
			const got = await readAll(page, { ...now, most }, signal);
			// New rows push none out that are shown.
			const at = held.current.items.findIndex((i) => i.id === got.items.at(-1)?.id);
			if (got.more && held.current.key === key && at >= 0) got.items.push(...held.current.items.slice(at + 1));
			held.current = { key, items: got.items.slice(0, longest) };
			return { ...got, items: held.current.items, key };
		},
		{ every },
	);
	const read = load.data || load.stale;
	const first = useRef({ key: undefined, id: undefined });
	if (read?.key === key && first.current.key !== key) first.current = { key, id: read.items[0]?.id };
	const top = now.top ?? (first.current.key === key ? first.current.id : undefined);
	const place = read?.key === key && top ? read.items.findIndex((i) => i.id === top) : 0;
	const data = read && {
		...read,
		items: place > 0 ? read.items.slice(place) : read.items,
		fresh: Math.max(0, place),
	};

	useEffect(() => {
		if (!kept.has(entry)) kept.set(entry, { key, count: now.count, y: 0 });
		Object.assign(kept.get(entry), { key, count: now.count });
	}, [key, now.count]);
	useEffect(() => {
		const moved = () => history.state?.n === entry && kept.has(entry) && (kept.get(entry).y = scrollY);
		addEventListener("scroll", moved, { passive: true });
		return () => removeEventListener("scroll", moved);
	}, []);
	useLayoutEffect(
		() => () => {
			if (kept.has(entry)) kept.get(entry).y = scrollY;
		},
		[],
	);
	const back = useRef(left?.key === key ? left.y : 0);
	useLayoutEffect(() => {
		if (load.data && back.current) scrollTo(0, back.current);
		if (load.data) back.current = 0;
	}, [Boolean(load.data)]);

	return {
		load: { ...load, data, error: load.error },
		more: () => ask({ ...now, count: now.count + (data?.reached ? 0 : size), rounds: now.rounds + rounds }),
		show: () => ask({ ...now, top: read?.items[0]?.id, count: now.count + place }),
	};
}

// Fresh says how many rows have come since, and shows them when it is asked to.
export const Fresh = ({ pager }) => html`
	<p class="fresh" role="status">
		${pager.load.data?.fresh > 0 &&
		html`
			<button type="button" class="small" onClick=${pager.show}>
				${t("pager.fresh", { n: pager.load.data.fresh })}
			</button>
		`}
	</p>
`;

// More lengthens the list, or goes on with a search that has not found enough yet.
export const More = ({ pager }) =>
	pager.load.data?.more
		? html`
				<p class="more">
					${pager.load.data.reached &&
					html`
						<span class="muted">
							${t("pager.reached", { at: time(pager.load.data.reached, { seconds: true }) })}
						</span>
						${" "}
					`}
					<button type="button" onClick=${pager.more}>
						${t(pager.load.data.reached ? "pager.further" : "more")}
					</button>
				</p>
			`
		: "";
