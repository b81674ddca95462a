// Views are read when they are shown first, or when a person begins to do something: Home, which opens first, is light,
// and an installation that is updated leaves no open page without its views.
import { html, useEffect, useState } from "./html.js";
import { t } from "./i18n.js";
import { Failure, Skeleton } from "./ui.js";

const rest = new Set();

// readRest reads the views that were not shown yet. What can not be read is tried again when it is shown.
export const readRest = () => rest.forEach((read) => read().catch(() => {}));

// lazy is a view of a module that is read when it is needed: lazy(() => import("./views/reports.js"), "Reports").
export function lazy(read, name) {
	let view = null;
	rest.add(read);
	return function Lazy(props) {
		const [state, set] = useState({});
		const load = () =>
			read().then(
				(module) => {
					view = module[name];
					set({});
				},
				() => set({ error: { status: 0 } }),
			);
		const drawn = view;
		useEffect(() => {
			if (drawn) return;
			if (view)
				set({}); // another one has read it since this one was drawn
			else load();
		}, []);
		if (drawn)
			return html`
				<${drawn} ...${props} />
			`;
		return html`
			<h1 class="visually-hidden" tabindex="-1">${t("loading")}</h1>
			${state.error
				? html`
						<${Failure} error=${state.error} retry=${() => location.reload()} />
					`
				: html`
						<${Skeleton} />
					`}
		`;
	};
}
