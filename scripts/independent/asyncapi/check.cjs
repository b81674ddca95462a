const { readFileSync } = require("node:fs");
const { Parser } = require("@asyncapi/parser");

new Parser().parse(readFileSync(process.argv[2], "utf8")).then(({ document, diagnostics }) => {
	const faults = diagnostics.filter((d) => d.severity <= 1); // errors and warnings
	for (const d of faults) console.error(`${d.path.join(".")}: ${d.message}`);
	const messages = document?.allMessages().length ?? 0;
	console.log(`asyncapi: ${messages} messages, ${faults.length} faults`);
	process.exitCode = faults.length || messages < 40 ? 1 : 0;
});
