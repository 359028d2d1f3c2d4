;; world: classifier
;; Never returns.
  (func (export "turnpike:policy/classify@0.1.0#classify") (result i32)
    (loop $again (br $again))
    (unreachable))
