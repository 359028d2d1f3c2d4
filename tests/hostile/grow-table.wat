;; world: classifier
;; Asks for a table of ten million elements.
  (table $wide 1 funcref)

  (func (export "turnpike:policy/classify@0.1.0#classify") (result i32)
    (drop (table.grow $wide (ref.null func) (i32.const 10000000)))
    (unreachable))
