export function FitScreen() { return <p>fit</p>; }
