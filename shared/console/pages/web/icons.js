// Icons of 24 units, drawn with one stroke. Those of systems come from their folders.
import { html } from "./html.js";

const paths = {
	bell: "M6 17h12l-1.5-2.5V11a4.5 4.5 0 0 0-9 0v3.5zM10 20a2 2 0 0 0 4 0",
	system: "M5 5h6v6H5zM13 5h6v6h-6zM5 13h6v6H5zM13 13h6v6h-6z",
	check: "M5 12.5 10 17.5 19 7",
	cross: "M6 6l12 12M18 6 6 18",
	pause: "M9 6v12M15 6v12",
	alert: "M12 4 2.5 20h19zM12 10v4M12 17.2v.3",
	info: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5M12 7.8v.2",
	plus: "M12 5v14M5 12h14",
	search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l4.5 4.5",
	back: "M14 6l-6 6 6 6",
	next: "M10 6l6 6-6 6",
	menu: "M4 7h16M4 12h16M4 17h16",
	clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3.5 2",
	again: "M4 12a8 8 0 0 1 13.8-5.5L20 9M20 4v5h-5M20 12a8 8 0 0 1-13.8 5.5L4 15M4 20v-5h5",
	send: "M4 12 20 5l-4 15-4-6z",
	trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
	eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
	person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20c0-3.5 3.3-6 7.5-6s7.5 2.5 7.5 6",
	file: "M6 3h8l4 4v14H6zM14 3v4h4",
};

const base = document.querySelector('meta[name="base"]').content;
export const loadIcons = async () => Object.assign(paths, await (await fetch(`${base}systems.json`)).json());

export const Icon = ({ name, size = 20, label }) => html`
	<svg
		class="icon"
		width=${size}
		height=${size}
		viewBox="0 0 24 24"
		fill="none"
		stroke="currentColor"
		stroke-width="1.75"
		stroke-linecap="round"
		stroke-linejoin="round"
		aria-hidden=${label ? undefined : "true"}
		role=${label ? "img" : undefined}
		aria-label=${label}
	>
		<path d=${paths[name] || paths.system} />
	</svg>
`;
