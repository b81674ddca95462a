// The Integrations section: tabs with counts, groups, search, tiles for what is not configured, cards for what is.
import { html, useState } from "../html.js";
import { get } from "../api.js";
import { subscribed } from "../events.js";
import { Search, Tabs, tabOf } from "../filters.js";
import { t } from "../i18n.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { useLocation, withQuery } from "../router.js";
import { Empty, Failing, Health, Off, Said, StatePill, View } from "../ui.js";
import { Bulk } from "./bulk.js";

const refresh = 15_000;
const pageSize = 100;

// readAll reads the systems and so many pages of integrations as are shown.
async function readAll({ tab, group, q, pages }, signal) {
	const [systems, found] = await Promise.all([
		get("/v1/systems", { signal }),
		readPages({ tab, group, q, pages }, signal),
	]);
	return { groups: systems.body.groups, ...found };
}

async function readPages({ tab, group, q, pages }, signal) {
	const items = [];
	let counts;
	let next = "";
	for (let n = 0; n < pages && (n === 0 || next); n++) {
		const { body } = await get("/v1/integrations", {
			signal,
			query: { status: tab, group, q, health: "true", limit: pageSize, cursor: next },
		});
		counts = body.counts;
		items.push(...body.items);
		next = body.next_cursor;
	}
	return { items, counts, more: Boolean(next) };
}

const tally = (g) =>
	g.disabled ? t("group.both", { n: g.enabled, m: g.disabled }) : t("group.active", { n: g.enabled });

function Groups({ groups, current }) {
	const link = (title, words, name) => html`
		<li>
			<a href=${withQuery({ group: name })} aria-current=${name === current ? "true" : undefined}>
				<span>${title}</span>
				<small>${words}</small>
			</a>
		</li>
	`;
	const sum = groups.reduce((a, g) => ({ enabled: a.enabled + g.enabled, disabled: a.disabled + g.disabled }), {
		enabled: 0,
		disabled: 0,
	});
	return html`
		<nav class="groups" aria-label=${t("group.label")}>
			<ul>
				${link(t("group.all"), tally(sum), "")}
				${groups.map((g) =>
					link(
						html`
							<${Said} text=${g.title} />
						`,
						tally(g),
						g.title,
					),
				)}
			</ul>
		</nav>
	`;
}

function Tile({ system, session }) {
	if (system.personal) {
		return session.sections.includes("profile")
			? html`
					<li class="card personal">
						<div class="card-head">
							<span class="mark"><${Icon} name="person" /></span>
							<div class="card-name">
								<h3>
									<a href="/profile"><${Said} text=${system.title} /></a>
								</h3>
								<p class="muted">${session.email}</p>
							</div>
						</div>
					</li>
				`
			: null;
	}
	if (!system.available) {
		return html`
			<li class="tile off">
				<span class="mark"><${Icon} name=${system.name} /></span>
				<div>
					<strong><${Said} text=${system.title} /></strong>
					<small>${t("tile.later")}</small>
				</div>
			</li>
		`;
	}
	return html`
		<li class="tile">
			<span class="mark"><${Icon} name=${system.name} /></span>
			<div>
				<a href=${`/add/${system.name}`}>
					<strong><${Said} text=${system.title} /></strong>
					<small>${t("tile.add", { system: system.title })}</small>
				</a>
			</div>
			<span class="tile-plus"><${Icon} name="plus" size="18" /></span>
		</li>
	`;
}

function Card({ integration: i, system }) {
	return html`
		<li class=${`card ${i.enabled ? "" : "off"}`}>
			<div class="card-head">
				<span class="mark"><${Icon} name=${i.system} /></span>
				<div class="card-name">
					<h3><a href=${`/integrations/${i.id}`}>${i.name}</a></h3>
					<p class="card-sub">
						<span class="muted">${system?.title || i.system}</span>
						<${StatePill} of=${i} />
					</p>
				</div>
			</div>
			<p class="card-events">${subscribed(i, system)}</p>
			${!i.enabled &&
			html`
				<p class=${i.disabled?.by === "platform" ? "card-off bad" : "card-off"}><${Off} of=${i} /></p>
			`}
			${i.unreadable &&
			html`
				<p class="card-off bad">${t(`unreadable.${i.unreadable.cause}`)}</p>
			`}
			${i.failing &&
			html`
				<p class="card-off bad"><${Failing} of=${i} /></p>
			`}
			${i.health &&
			html`
				<${Health} health=${i.health} />
			`}
			<p class="card-foot">
				<a href=${`/integrations/${i.id}/deliveries`} aria-label=${t("card.deliveries.of", { name: i.name })}>
					${t("card.deliveries")}
				</a>
			</p>
		</li>
	`;
}

function Group({ group, items, tab, q, session }) {
	const found = (s) => !q || s.title.toLowerCase().includes(q.toLowerCase());
	const tiles = tab === "all" ? group.systems.filter((s) => s.enabled + s.disabled === 0 && found(s)) : [];
	const by = Object.fromEntries(group.systems.map((s) => [s.name, s]));
	const cards = items.filter((i) => by[i.system]);
	if (!cards.length && !tiles.length) return null;
	return html`
		<section class="group">
			<div class="group-head">
				<h2><${Said} text=${group.title} /></h2>
				<a
					class="quiet small"
					href=${`/add?group=${encodeURIComponent(group.title)}`}
					aria-label=${t("group.add.to", { group: group.title })}
				>
					<${Icon} name="plus" size="16" />
					${t("group.add")}
				</a>
			</div>
			${cards.length > 0 &&
			html`
				<ul class="cards">
					${cards.map(
						(i) => html`
							<${Card} key=${i.id} integration=${i} system=${by[i.system]} />
						`,
					)}
				</ul>
			`}
			${tiles.length > 0 &&
			html`
				<ul class="tiles">
					${tiles.map(
						(s) => html`
							<${Tile} key=${s.name} system=${s} session=${session} />
						`,
					)}
				</ul>
			`}
		</section>
	`;
}

function Nothing({ tab, q, group, counts }) {
	if (q || group)
		return html`
			<${Empty} icon="search" title=${t("empty.filtered")}>
				<p><a class="button" href="/">${t("empty.showall")}</a></p>
			<//>
		`;
	if (tab === "disabled")
		return html`
			<${Empty} icon="check" title=${t("empty.disabled")} />
		`;
	return html`
		<${Empty} icon="bell" title=${t(counts.all ? "empty.enabled" : "empty.none")}>
			<p><a class="button primary" href="/add">${t("group.add")}</a></p>
		<//>
	`;
}

function Found({ data, tab, group, q, session }) {
	const shown = data.groups.filter((g) => !group || g.title === group);
	const sections = shown.map((g) => Group({ group: g, items: data.items, tab, q, session })).filter(Boolean);
	return html`
		${sections.length
			? sections
			: html`
					<${Nothing} tab=${tab} q=${q} group=${group} counts=${data.counts} />
				`}
	`;
}

// Several opens what is done to several integrations at once.
function Several({ done }) {
	const [open, set] = useState(false);
	return html`
		<button type="button" onClick=${() => set(true)}>${t("bulk.title")}</button>
		${open &&
		html`
			<${Bulk} onClose=${() => set(false)} done=${done} />
		`}
	`;
}

export function Integrations({ session }) {
	const { query } = useLocation();
	const tab = tabOf(query);
	const group = query.get("group") || "";
	const q = query.get("q") || "";
	const [pages, setPages] = useState(1);
	const filter = { tab, group, q, pages };
	const load = useLoad(JSON.stringify(filter), (signal) => readAll(filter, signal), { every: refresh });
	const shown = load.data || load.stale;
	return html`
		<div class="title">
			<div>
				<h1 tabindex="-1">${t("list.title")}</h1>
				<p class="muted">${t("list.lead")}</p>
			</div>
			<div class="buttons">
				<${Several} done=${load.reload} />
				<a class="button primary" href="/add">
					<${Icon} name="plus" size="18" />
					${t("group.add")}
				</a>
			</div>
		</div>
		<div class="tools">
			<${Tabs} counts=${shown?.counts} current=${tab} />
			<${Search} q=${q} label=${t("search.label")} />
		</div>
		<div class="split">
			${shown
				? html`
						<${Groups} groups=${shown.groups} current=${group} />
					`
				: html`
						<div class="groups"></div>
					`}
			<div class="found" aria-busy=${!load.data}>
				<p class="visually-hidden" role="status">
					${load.data ? t("list.found", { n: load.data.items.length }) : ""}
				</p>
				<${View}
					load=${load.data || load.error ? load : { ...load, data: load.stale }}
					skeleton="cards"
					count="6"
				>
					${(data) => html`
						<${Found} data=${data} tab=${tab} group=${group} q=${q} session=${session} />
						${data.more &&
						html`
							<p class="more">
								<button type="button" onClick=${() => setPages(pages + 1)}>${t("more")}</button>
							</p>
						`}
					`}
				<//>
			</div>
		</div>
	`;
}
